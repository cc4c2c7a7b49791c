//! The statements of InfluxQL that clients of InfluxDB 1 send before they write.
//!
//! Apart from SQL, because they have a syntax and an answer of their own. Databases make themselves, so one that is to
//! be made is answered as made. InfluxQL as a language is not here: whatever else it says is refused by name, and a
//! text with such a statement is refused before any of its statements is answered.

use gigapi_model::DatabaseName;
use gigapi_service::ApiError;
use serde_json::{Value, json};

use crate::{Error, Querier};

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Statement {
    CreateDatabase,
    ShowDatabases,
    /// In that database, or in the request's.
    ShowMeasurements {
        database: Option<String>,
        limit: usize,
        offset: usize,
    },
}

/// A piece of a statement's text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// As it is written.
    Word(String),
    /// An identifier in double quotes, without them.
    Quoted(String),
    /// Anything else, one character.
    Other(char),
}

/// Answers the statements of a text, in order, as InfluxDB 1 does.
pub(super) async fn answer(querier: &Querier, text: &str, database: Option<&str>) -> Result<Value, ApiError> {
    let statements = statements(text)?;
    let mut results = Vec::with_capacity(statements.len());
    for (statement, id) in statements.into_iter().zip(0_usize..) {
        let mut result = match statement {
            Statement::CreateDatabase => json!({}),
            Statement::ShowDatabases => {
                let databases = querier.reader().databases().await.map_err(Error::from)?;
                listed("databases", databases.iter().map(DatabaseName::as_str))
            }
            Statement::ShowMeasurements { database: named, limit, offset } => {
                measurements(querier, named.as_deref().or(database), limit, offset).await?
            }
        };
        result["statement_id"] = json!(id);
        results.push(result);
    }
    Ok(json!({ "results": results }))
}

/// What a statement failed with is part of the answer, not its status: so these clients know it.
async fn measurements(
    querier: &Querier,
    database: Option<&str>,
    limit: usize,
    offset: usize,
) -> Result<Value, ApiError> {
    let Some(database) = database else { return Ok(json!({ "error": "database name required" })) };
    let reader = querier.reader();
    let known = reader.databases().await.map_err(Error::from)?;
    let Some(known) = known.iter().find(|known| known.as_str() == database) else {
        return Ok(json!({ "error": format!("database not found: {database}") }));
    };
    let names = reader.table_names(known).await.map_err(Error::from)?;
    let mut names = names.iter().map(|name| name.as_str()).skip(offset).take(limit).peekable();
    // Where there are none, there is no series.
    Ok(if names.peek().is_none() { json!({}) } else { listed("measurements", names) })
}

/// One series with one column; it has no values where there are no rows.
fn listed<'a>(name: &str, rows: impl Iterator<Item = &'a str>) -> Value {
    let values: Vec<[&str; 1]> = rows.map(|row| [row]).collect();
    match values.is_empty() {
        true => json!({ "series": [{ "name": name, "columns": ["name"] }] }),
        false => json!({ "series": [{ "name": name, "columns": ["name"], "values": values }] }),
    }
}

fn statements(text: &str) -> Result<Vec<Statement>, ApiError> {
    let tokens = tokens(text)?;
    let parts = tokens.split(|token| *token == Token::Other(';')).filter(|part| !part.is_empty());
    let statements: Vec<Statement> = parts.map(statement).collect::<Result<_, _>>()?;
    match statements.is_empty() {
        true => Err(ApiError::invalid("q holds no statement")),
        false => Ok(statements),
    }
}

fn statement(tokens: &[Token]) -> Result<Statement, ApiError> {
    let mut rest = tokens;
    if took(&mut rest, &["create", "database"]) {
        // What a retention policy would say means nothing here.
        return match rest.first() {
            Some(Token::Word(_) | Token::Quoted(_)) => Ok(Statement::CreateDatabase),
            _ => Err(ApiError::invalid("CREATE DATABASE names no database")),
        };
    }
    if took(&mut rest, &["show", "databases"]) && rest.is_empty() {
        return Ok(Statement::ShowDatabases);
    }
    if took(&mut rest, &["show", "measurements"]) {
        let database = match took(&mut rest, &["on"]) {
            true => Some(name(&mut rest).ok_or_else(|| ApiError::invalid("ON names no database"))?),
            false => None,
        };
        let limit = number(&mut rest, "limit")?.unwrap_or(usize::MAX);
        let offset = number(&mut rest, "offset")?.unwrap_or(0);
        if rest.is_empty() {
            return Ok(Statement::ShowMeasurements { database, limit, offset });
        }
    }
    let shown: Vec<String> = tokens.iter().take(3).map(Token::shown).collect();
    Err(ApiError::invalid(format!(
        "{:?} is InfluxQL, which is not part of this version beyond CREATE DATABASE, SHOW DATABASES and \
         SHOW MEASUREMENTS [ON db] [LIMIT n] [OFFSET n]; send SQL as {{\"query\": \"SELECT …\"}} to POST /query, or as q \
         to /api/v3/query_sql",
        shown.join(" ")
    )))
}

/// Takes these words if they come next.
fn took(rest: &mut &[Token], words: &[&str]) -> bool {
    let is_next = rest.len() >= words.len()
        && rest
            .iter()
            .zip(words)
            .all(|(token, word)| matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word)));
    if is_next {
        *rest = &rest[words.len()..];
    }
    is_next
}

fn name(rest: &mut &[Token]) -> Option<String> {
    let (Token::Word(name) | Token::Quoted(name)) = rest.first()? else { return None };
    *rest = &rest[1..];
    Some(name.clone())
}

fn number(rest: &mut &[Token], word: &str) -> Result<Option<usize>, ApiError> {
    if !took(rest, &[word]) {
        return Ok(None);
    }
    let number = name(rest).and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| ApiError::invalid(format!("{} is not followed by a number", word.to_uppercase())))
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Quoted(text) => text.clone(),
            Self::Other(other) => other.to_string(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    let is_of_word = |other: char| other.is_alphanumeric() || other == '_';
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        if first == '"' {
            tokens.push(Token::Quoted(quoted(&mut rest)?));
        } else if is_of_word(first) {
            let mut word = String::from(first);
            while let Some(next) = rest.next_if(|next| is_of_word(*next)) {
                word.push(next);
            }
            tokens.push(Token::Word(word));
        } else {
            tokens.push(Token::Other(first));
        }
    }
    Ok(tokens)
}

/// What comes up to the closing quote; a backslash takes the meaning from a quote or a backslash after it.
fn quoted(rest: &mut impl Iterator<Item = char>) -> Result<String, ApiError> {
    let mut name = String::new();
    while let Some(next) = rest.next() {
        match next {
            '"' => return Ok(name),
            '\\' => name.extend(rest.next()),
            other => name.push(other),
        }
    }
    Err(ApiError::invalid("a double quote in q is not closed"))
}

#[cfg(test)]
mod tests;
