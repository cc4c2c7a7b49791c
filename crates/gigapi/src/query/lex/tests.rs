use proptest::prelude::*;
use sqlparser::dialect::DuckDbDialect;
use sqlparser::tokenizer::{Token as EngineToken, Tokenizer};

use super::*;

fn kinds(text: &str) -> Vec<(Kind, &str)> {
    tokens(text).map(|token| (token.kind, token.text)).collect()
}

#[test]
fn quotes_and_comments_are_one_token_whatever_is_in_them() {
    use Kind::*;
    for (text, kind) in [
        ("'a;b'", Text),
        ("'it''s; '", Text),
        (r"'\'", Text),
        (r"x'\';'", Text),
        ("$$;$ ' $$", Text),
        ("$é_1$;$$;$é_1$", Text),
        ("\"a;\"\"b\"", QuotedName),
        ("`a;b`", QuotedName),
        ("-- a; 'b\n", Comment),
        ("/* a; 'b */", Comment),
        ("naïve$2", Word),
        ("0xFF", Number),
    ] {
        assert_eq!(kinds(text), [(kind, text)]);
    }
    assert_eq!(kinds("$1;"), [(Other, "$1"), (Semicolon, ";")]);
    assert_eq!(kinds("7//2"), [(Number, "7"), (Other, "//"), (Number, "2")]);
    assert_eq!(kinds("1e-5$$;$$"), [(Number, "1e-5"), (Text, "$$;$$")]);
    assert_eq!(kinds(".5L"), [(Number, ".5L")]);
    assert_eq!(kinds("a.e5"), [(Word, "a"), (Other, "."), (Word, "e5")]);
    assert_eq!(kinds("a--b"), [(Word, "a"), (Comment, "--b")]);
    assert_eq!(kinds("/* /* */ 1"), [(Comment, "/* /* */"), (Space, " "), (Number, "1")]);
}

#[test]
fn what_does_not_end_says_so() {
    for text in ["'", "'a''", "\"a", "`", "$$a$", "$t$ $$", "/* *", r"x'\'"] {
        assert!(tokens(text).any(|token| !token.closed), "{text}");
    }
    for text in ["--", "$1", "$a", "a$$"] {
        assert!(tokens(text).all(|token| token.closed), "{text}");
    }
}

/// Where the engine's tokenizer sees a `;`, in bytes; nothing where it refuses the text.
fn semicolons_of_the_engine(text: &str) -> Option<Vec<usize>> {
    let tokens = Tokenizer::new(&DuckDbDialect {}, text).tokenize_with_location().ok()?;
    let line_starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let offset = |line: u64, column: u64| {
        let start = line_starts[line as usize - 1];
        start + text[start..].chars().take(column as usize - 1).map(char::len_utf8).sum::<usize>()
    };
    let semicolons = tokens.iter().filter(|token| token.token == EngineToken::SemiColon);
    Some(semicolons.map(|token| offset(token.span.start.line, token.span.start.column)).collect())
}

/// Pieces out of which quotes, comments and what looks like them are made.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'", "''", "\"", "`", ";", ";", "--", "-", "\n", "\r", "/*", "*/", "/", "*", "|", "$", "$$", "$a$", "x'", "X",
        "n", "e", "0x", "0", "7", ".", "1e", "L", "+", "\\", "é", "_", "a", " ", "\t", "\u{2003}", "(", "@", "?", "<",
        ">", "=",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_engine_sees_the_same_ends_of_statements(text in pieces()) {
        let ours: Vec<usize> =
            tokens(&text).filter(|token| token.kind == Kind::Semicolon).map(|token| token.at).collect();
        if let Some(theirs) = semicolons_of_the_engine(&text) {
            prop_assert_eq!(ours, theirs);
            prop_assert!(tokens(&text).all(|token| token.closed));
        }
    }

    #[test]
    fn every_character_is_in_one_token(text in any::<String>()) {
        let together: String = tokens(&text).map(|token| token.text).collect();
        prop_assert_eq!(&together, &text);
        let mut at = 0;
        for token in tokens(&text) {
            prop_assert_eq!(token.at, at);
            prop_assert!(!token.text.is_empty());
            at += token.text.len();
        }
    }
}
