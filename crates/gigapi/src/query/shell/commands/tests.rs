use super::*;

#[test]
fn commands_are_read_with_their_arguments() {
    for (line, command) in [
        (".help", Command::Help),
        (".tables", Command::Tables(None)),
        (" .TABLES  we* ;", Command::Tables(Some("we*".to_owned()))),
        (".databases;", Command::Databases),
        (".use 'my db'", Command::Use("my db".to_owned())),
        (".schema db.t", Command::Schema("db.t".to_owned())),
        (".mode CSV", Command::Mode(Format::Csv)),
        (".mode jsonl", Command::Mode(Format::Ndjson)),
        (".rows 0", Command::Rows(None)),
        (".rows 7", Command::Rows(Some(7))),
        (".timer off", Command::Timer(false)),
        (".output -", Command::Output(None)),
        (".output \"a b.csv\"", Command::Output(Some(PathBuf::from("a b.csv")))),
        (".read x.sql", Command::Read(PathBuf::from("x.sql"))),
        (".exit", Command::Quit),
    ] {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn wrong_ones_say_what_to_write() {
    for (line, told) in [
        (".tabels", "there is no .tabels; did you mean .tables?"),
        (".q", "there is no .q; did you mean .quit?"),
        (".databse", "there is no .databse; did you mean .databases?"),
        (".xyzzy", "there is no .xyzzy; .help lists what there is"),
        (".mode xml", "\"xml\" is no mode; write .mode table|line|csv|json|ndjson"),
        (".timer", "\"\" is neither on nor off; write .timer on|off"),
        (".rows many", "\"many\" is no number; write .rows N"),
        (".use", "the name is missing; write .use DATABASE"),
    ] {
        assert_eq!(parse(line), Err(told.to_owned()), "{line}");
    }
    assert!(parse(".mode parquet").unwrap_err().contains("--format parquet -o FILE"));
}

#[test]
fn help_names_every_command() {
    let help = help();
    for word in words() {
        assert!(help.lines().any(|line| line.starts_with(word)), "{word}");
        assert!(parse(word).is_ok() || parse(&format!("{word} 1")).is_ok() || [".mode", ".timer"].contains(&word));
    }
}

#[test]
fn patterns_fit_names_as_in_a_shell() {
    for (pattern, name) in
        [("*", ""), ("we*", "Weather"), ("*th?r", "weather"), ("EATH", "weather"), ("%", "x"), ("a*b*c", "a1b2c")]
    {
        assert!(fits(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("we?", "weather"), ("*x", "weather"), ("?", ""), ("a*b", "abc")] {
        assert!(!fits(pattern, name), "{pattern} {name}");
    }
}

#[test]
fn slips_of_the_finger_are_counted() {
    for (from, to, count) in [
        ("", "", 0),
        ("abc", "abc", 0),
        ("tabels", "tables", 1),
        ("use", "uses", 1),
        ("mode", "made", 1),
        ("a", "xyz", 3),
    ] {
        assert_eq!((slips(from, to), slips(to, from)), (count, count), "{from} {to}");
    }
}
