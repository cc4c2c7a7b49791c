use super::*;

#[test]
fn a_writer_is_reached_where_it_says_or_where_it_listens() {
    let mut http = Settings::defaults().http;
    http.port = 7971;
    let mut at = |host: &str, given: Option<&str>| {
        http.host = host.to_owned();
        own_address(&http, given).unwrap()
    };
    let named = format!("{}:7971", host_name().unwrap());
    assert_eq!([at("::", None), at("0.0.0.0", None)], [named.clone(), named]);
    assert_eq!(at("127.0.0.1", None), "127.0.0.1:7971");
    assert_eq!(at("::1", None), "[::1]:7971");
    assert_eq!(at("writer.local", None), "writer.local:7971");
    assert_eq!(at("::", Some("10.0.0.7")), "10.0.0.7:7971");
    assert_eq!(at("::", Some("fd00::7")), "[fd00::7]:7971");
    assert_eq!(at("::", Some("[fd00::7]:80")), "[fd00::7]:80");
    assert_eq!(at("::", Some("[fd00::7]")), "[fd00::7]:7971");
    assert_eq!(at("::", Some("writer-1")), "writer-1:7971");
    assert_eq!(at("::", Some("writer-1:80")), "writer-1:80");
}
