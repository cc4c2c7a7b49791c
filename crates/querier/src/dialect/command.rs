//! Which kind of command a text is.
//!
//! What is not a query, nor describes one, is refused by its first word where that is enough: such a statement is not
//! even parsed. What DuckDB has and the parser does not know is recognised here by its words.

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as EngineStatement};
use datafusion::sql::sqlparser::ast::{
    DescribeAlias, Ident, ObjectName, SetExpr, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions,
    Statement, TableFactor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::syntax::Syntax;
use super::{Query, limits};
use crate::{Error, Result};

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// An empty statement, which some clients send to test the connection.
    Nothing,
    /// Plan and run it.
    Query(Box<Query>),
    /// The databases.
    ShowDatabases(Like),
    /// The tables of that database, or of the request's.
    ShowTables(Option<String>, Like),
    /// The tables of all databases with their columns.
    ShowAllTables,
    /// The columns of a table.
    DescribeTable(ObjectName, Like),
    /// The columns of a query's answer.
    DescribeQuery(Box<Query>),
}

/// Which of the names are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Like {
    /// With `%` and `_`; all names, if absent.
    pub(crate) pattern: Option<String>,
    /// Whether letter case does not matter.
    pub(crate) any_case: bool,
}

/// Statements that are refused by their first word.
const REFUSED: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "CACHE",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DENY",
    "DETACH",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXEC",
    "EXECUTE",
    "EXPORT",
    "FETCH",
    "FLUSH",
    "FORCE",
    "GRANT",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "KILL",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MSCK",
    "NOTIFY",
    "OPEN",
    "OPTIMIZE",
    "PRAGMA",
    "PREPARE",
    "PRINT",
    "RAISE",
    "RAISERROR",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RENAME",
    "REPLACE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "START",
    "THROW",
    "TRUNCATE",
    "UNCACHE",
    "UNLISTEN",
    "UNLOAD",
    "UPDATE",
    "UPSERT",
    "USE",
    "VACUUM",
    "WAITFOR",
    "WHILE",
];

/// Reads one command.
pub(crate) fn parse(sql: &str) -> Result<Command> {
    let text = sql.trim().trim_end_matches([';', ' ', '\n', '\r', '\t']);
    if text.is_empty() {
        return Ok(Command::Nothing);
    }
    let tokens =
        Tokenizer::new(&Syntax::default(), text).tokenize_with_location().map_err(|error| wrong(error.into()))?;
    limits::check(&tokens)?;
    let words = Words::of(&tokens);
    words.refuse()?;
    match words.first() {
        None => Ok(Command::Nothing),
        Some("FROM") if !selects(&tokens) => command(one_statement(selected(tokens)?)?),
        Some("SUMMARIZE") => summarize(tokens),
        Some("DESCRIBE" | "DESC" | "SHOW") if words.is_all_tables() => Ok(Command::ShowAllTables),
        Some(_) => command(one_statement(tokens)?),
    }
}

/// Whether a statement says what it selects, outside of all brackets.
fn selects(tokens: &[TokenWithSpan]) -> bool {
    let mut depth = 0_usize;
    tokens.iter().any(|token| {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.keyword == Keyword::SELECT => return true,
            _ => {}
        }
        false
    })
}

/// A statement that begins with `FROM` and selects nothing by name, which is everything.
fn selected(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut all = Tokenizer::new(&Syntax::default(), "SELECT * ")
        .tokenize_with_location()
        .map_err(|error| wrong(error.into()))?;
    all.extend(tokens);
    Ok(all)
}

/// The words of a statement that are not quoted, in upper case; what is between them is empty.
struct Words(Vec<String>);

impl Words {
    fn of(tokens: &[TokenWithSpan]) -> Self {
        let words = tokens.iter().filter_map(|token| match &token.token {
            Token::Whitespace(_) | Token::EOF => None,
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
            _ => Some(String::new()),
        });
        Self(words.collect())
    }

    fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    fn refuse(&self) -> Result<()> {
        match self.first() {
            Some("CREATE") if self.0.get(1).is_some_and(|word| word == "EXTERNAL") => {
                return Err(refused("CREATE EXTERNAL TABLE"));
            }
            Some("USE") => return Err(Error::Refused { what: "USE".to_owned(), instead: OWN_DATABASE }),
            Some("PIVOT" | "PIVOT_WIDER" | "UNPIVOT" | "PIVOT_LONGER") => return Err(pivot()),
            Some(first) if REFUSED.binary_search(&first).is_ok() => return Err(refused(first)),
            _ => {}
        }
        let is_join = |words: &[String]| match words {
            [_, join, ..] if join == "JOIN" => true,
            [_, kind, join, ..] => join == "JOIN" && matches!(kind.as_str(), "LEFT" | "INNER" | "RIGHT" | "FULL"),
            _ => false,
        };
        for (at, word) in self.0.iter().enumerate() {
            match word.as_str() {
                "POSITIONAL" if is_join(&self.0[at..]) => return Err(positional()),
                "ASOF" if is_join(&self.0[at..]) => return Err(asof()),
                _ => {}
            }
        }
        Ok(())
    }

    fn is_all_tables(&self) -> bool {
        let words: Vec<&str> = self.0.iter().map(String::as_str).collect();
        matches!(words.as_slice(), ["DESCRIBE" | "DESC"] | ["SHOW", "ALL", "TABLES"])
    }
}

const OWN_DATABASE: &str = "name the database in the request (db), or write database.table";

pub(super) fn pivot() -> Error {
    let instead = "write one aggregate per column: SELECT host, sum(v) FILTER (WHERE kind = 'a') AS a, … GROUP BY host";
    Error::Refused { what: "PIVOT or UNPIVOT".to_owned(), instead }
}

pub(super) fn sampled() -> Error {
    Error::Refused { what: "TABLESAMPLE".to_owned(), instead: "write WHERE random() < 0.1 for a tenth of the rows" }
}

fn positional() -> Error {
    let instead = "number the rows of both sides with row_number() OVER () and join on that";
    Error::Refused { what: "POSITIONAL JOIN".to_owned(), instead }
}

fn asof() -> Error {
    let instead = "join on a bucket of time (time_bucket), or put both sides together with UNION ALL and take \
                   last_value(x) IGNORE NULLS OVER (PARTITION BY key ORDER BY time)";
    Error::Refused { what: "ASOF JOIN".to_owned(), instead }
}

fn wrong(error: ParserError) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            Error::TooDeep { what: "expressions and queries inside each other", limit: limits::NESTING_MAX }
        }
        ParserError::TokenizerError(what) => Error::invalid(format!("SQL syntax: {what}")),
        other => Error::from(DataFusionError::SQL(Box::new(other), None)),
    }
}

fn one_statement(tokens: Vec<TokenWithSpan>) -> Result<EngineStatement> {
    let syntax = Syntax::for_tokens(tokens.len());
    let parser = DFParserBuilder::new(tokens).with_dialect(&syntax).with_recursion_limit(limits::NESTING_MAX);
    let statements = parser.build()?.parse_statements();
    let mut statements = statements.map_err(|error| match error {
        _ if syntax.gave_up() => Error::invalid(
            "SQL syntax: the statement cannot be read, and has too many brackets in calls to tell where it is wrong",
        ),
        DataFusionError::SQL(inner, _) => wrong(*inner),
        other => other.into(),
    })?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(Error::invalid("there is no statement")),
        (Some(_), false) => Err(Error::Refused {
            what: "more than one statement".to_owned(),
            instead: "send one statement in a request",
        }),
    }
}

/// `SUMMARIZE` of a query, or of all that a table holds.
fn summarize(tokens: Vec<TokenWithSpan>) -> Result<Command> {
    let mut rest: Vec<TokenWithSpan> = tokens.into_iter().skip_while(|token| !is_word(token)).skip(1).collect();
    let first = rest.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
    let is_query = first.is_some_and(|token| match &token.token {
        Token::LParen => true,
        Token::Word(word) => {
            matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::FROM | Keyword::VALUES)
        }
        _ => false,
    });
    if !is_query {
        let all = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
        rest.splice(0..0, all.map(TokenWithSpan::wrap));
    }
    match command(one_statement(rest)?)? {
        Command::Query(query) => Ok(Command::Query(Box::new(Query { summarized: true, ..*query }))),
        _ => Err(Error::invalid("SUMMARIZE takes a table or a query")),
    }
}

fn is_word(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Word(_))
}

fn command(statement: EngineStatement) -> Result<Command> {
    match statement {
        EngineStatement::Statement(statement) => plain(*statement),
        EngineStatement::Explain(explain) => match command(*explain.statement.clone())? {
            Command::Query(_) => {
                let statement = EngineStatement::Explain(explain);
                Ok(Command::Query(Box::new(Query { statement, summarized: false })))
            }
            _ => Err(Error::invalid("EXPLAIN takes a query")),
        },
        EngineStatement::CopyTo(_) => Err(refused("COPY")),
        EngineStatement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        EngineStatement::Reset(_) => Err(refused("RESET")),
    }
}

fn query(statement: Statement) -> Command {
    let statement = EngineStatement::Statement(Box::new(statement));
    Command::Query(Box::new(Query { statement, summarized: false }))
}

fn plain(statement: Statement) -> Result<Command> {
    match statement {
        Statement::Query(body) => match changes(&body.body) {
            Some(what) => Err(refused(what)),
            None => Ok(query(Statement::Query(body))),
        },
        Statement::ShowDatabases { show_options, .. } | Statement::ShowSchemas { show_options, .. } => {
            Ok(Command::ShowDatabases(like(&show_options)?))
        }
        Statement::ShowTables { show_options, .. } => {
            let like = like(&show_options)?;
            let database = show_options.show_in.and_then(|place| place.parent_name);
            Ok(Command::ShowTables(database.map(|name| last_part(&name)).transpose()?, like))
        }
        Statement::ShowColumns { show_options, .. } => {
            let like = like(&show_options)?;
            match show_options.show_in.and_then(|place| place.parent_name) {
                Some(table) => described(table, like),
                None => Err(Error::invalid("SHOW COLUMNS needs a table: SHOW COLUMNS FROM <table>")),
            }
        }
        Statement::ShowVariable { variable } => match variable.as_slice() {
            [table] if !table.value.eq_ignore_ascii_case("all") => {
                described(ObjectName::from(vec![table.clone()]), Like::default())
            }
            _ => Err(Error::Refused { what: "SHOW of settings".to_owned(), instead: OPERATORS }),
        },
        Statement::ExplainTable { table_name, .. } => described(table_name, Like::default()),
        Statement::Explain { describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, statement, .. } => {
            match plain(*statement)? {
                Command::Query(query) => Ok(Command::DescribeQuery(query)),
                _ => Err(Error::invalid("DESCRIBE takes a table or a query")),
            }
        }
        Statement::Set(set) => set_command(&set.to_string()),
        other => Err(refused(&kind_of(&other))),
    }
}

/// The columns of a table. The engine's own tables are no tables of the catalog: they are asked for their rows.
fn described(table: ObjectName, like: Like) -> Result<Command> {
    let is_own = |name: &Ident| ["information_schema", "system"].iter().any(|own| name.value.eq_ignore_ascii_case(own));
    let parts: Vec<&Ident> = table.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [.., schema, _] if is_own(schema) && like.pattern.is_none() => {
            Ok(Command::DescribeQuery(Box::new(all_of(table)?)))
        }
        _ => Ok(Command::DescribeTable(table, like)),
    }
}

/// `SELECT *` from that table.
fn all_of(table: ObjectName) -> Result<Query> {
    let broken = || Error::internal("the template of all columns is not a SELECT from one table");
    let parsed =
        Parser::new(&Syntax::default()).try_with_sql("SELECT * FROM t").and_then(|mut parser| parser.parse_query());
    let mut query = parsed.map_err(|_| broken())?;
    let SetExpr::Select(select) = &mut *query.body else { return Err(broken()) };
    let Some(TableFactor::Table { name, .. }) = select.from.first_mut().map(|from| &mut from.relation) else {
        return Err(broken());
    };
    *name = table;
    let statement = EngineStatement::Statement(Box::new(Statement::Query(query)));
    Ok(Query { statement, summarized: false })
}

/// What a query's body does beside reading.
pub(super) fn changes(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Insert(_) => Some("INSERT"),
        SetExpr::Update(_) => Some("UPDATE"),
        SetExpr::Delete(_) => Some("DELETE"),
        SetExpr::Merge(_) => Some("MERGE"),
        SetExpr::Select(select) if select.into.is_some() => Some("SELECT INTO"),
        SetExpr::SetOperation { left, right, .. } => changes(left).or_else(|| changes(right)),
        _ => None,
    }
}

const OPERATORS: &str = "settings are made by the server's operator";

/// Clients set their time zone and how floats are printed when they connect; both are as they wish already.
fn set_command(text: &str) -> Result<Command> {
    let text = text.to_ascii_lowercase();
    let harmless = ["set timezone = 'utc'", "set time zone 'utc'", "set time zone utc", "set timezone to 'utc'"];
    if harmless.contains(&text.as_str()) || text.starts_with("set extra_float_digits =") {
        return Ok(Command::Nothing);
    }
    Err(Error::Refused { what: "SET".to_owned(), instead: OPERATORS })
}

fn kind_of(statement: &Statement) -> String {
    let text = statement.to_string();
    text.split_whitespace().next().unwrap_or("this statement").to_ascii_uppercase()
}

pub(super) fn refused(what: &str) -> Error {
    Error::Refused { what: what.to_owned(), instead: "this endpoint reads, with SELECT, SHOW, DESCRIBE and EXPLAIN" }
}

fn like(options: &ShowStatementOptions) -> Result<Like> {
    let unknown = || Error::invalid("SHOW takes LIKE or ILIKE and a pattern; for more select from information_schema");
    if options.starts_with.is_some() || options.limit.is_some() {
        return Err(unknown());
    }
    let filter = match &options.filter_position {
        None => return Ok(Like::default()),
        Some(ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter)) => filter,
    };
    match filter {
        ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern) => {
            Ok(Like { pattern: Some(pattern.clone()), any_case: false })
        }
        ShowStatementFilter::ILike(pattern) => Ok(Like { pattern: Some(pattern.clone()), any_case: true }),
        ShowStatementFilter::Where(_) => Err(unknown()),
    }
}

fn last_part(name: &ObjectName) -> Result<String> {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map(|ident| ident.value.clone()).ok_or_else(|| Error::invalid(format!("{name} is not a name")))
}
