use super::*;

fn parsed(url: &str) -> S3Location {
    S3Location::parse(url).unwrap_or_else(|error| panic!("{url} {error}"))
}

#[test]
fn the_examples_of_the_settings_are_understood() {
    let aws = parsed("s3://s3.amazonaws.com/my-bucket/data");
    assert_eq!((aws.bucket.as_str(), aws.prefix.as_ref()), ("my-bucket", "data"));
    assert_eq!((aws.secure, aws.style, aws.region.as_deref()), (true, UrlStyle::VirtualHost, None));
    assert_eq!(aws.endpoint_url(), "https://my-bucket.s3.amazonaws.com");
    let minio = parsed("s3://localhost:9000/gigapi?secure=false&url-style=path");
    assert_eq!((minio.bucket.as_str(), minio.prefix.as_ref()), ("gigapi", ""));
    assert_eq!(minio.endpoint_url(), "http://localhost:9000");
    let spaces = parsed("s3://nyc3.digitaloceanspaces.com/my-space/data?url-style=path");
    assert_eq!(spaces.endpoint_url(), "https://nyc3.digitaloceanspaces.com");
    let seed = parsed("s3://s3.server.hostname/bucket/prefix/to/layer");
    assert_eq!(
        (seed.prefix.as_ref(), seed.endpoint_url().as_str()),
        ("prefix/to/layer", "https://bucket.s3.server.hostname")
    );
}

#[test]
fn slashes_ports_addresses_and_escapes_in_a_url_are_understood() {
    assert_eq!(parsed("s3://host/b/").prefix.as_ref(), "");
    assert_eq!(parsed("s3://host/b/a/b/").prefix.as_ref(), "a/b");
    assert_eq!(parsed("s3://host/b/a%20b/%C3%A9").prefix.as_ref(), "a b/é");
    assert_eq!(parsed("s3://host:1234/b").authority(), "b.host:1234");
    assert_eq!(parsed("s3://[::1]:9000/b?url-style=path").endpoint_url(), "https://[::1]:9000");
    assert_eq!(parsed("s3://127.0.0.1/b?url-style=path&secure=false").endpoint_url(), "http://127.0.0.1");
}

#[test]
fn the_region_comes_from_the_parameter_or_from_a_host_of_aws() {
    let region = |url: &str| parsed(url).region;
    for (url, wanted) in [
        ("s3://s3.eu-west-1.amazonaws.com/b", Some("eu-west-1")),
        ("s3://s3.eu-west-1.amazonaws.com/b?region=us-east-2", Some("us-east-2")),
        ("s3://s3.dualstack.ap-southeast-2.amazonaws.com/b", Some("ap-southeast-2")),
        ("s3://s3-us-gov-west-1.amazonaws.com/b", Some("us-gov-west-1")),
        ("s3://s3-fips.us-east-1.amazonaws.com/b", Some("us-east-1")),
        ("s3://s3.cn-north-1.amazonaws.com.cn/b", Some("cn-north-1")),
        ("s3://bucket.vpce-1a2b.s3.eu-central-1.vpce.amazonaws.com/b", Some("eu-central-1")),
        ("s3://s3.amazonaws.com/b", None),
        ("s3://s3-external-1.amazonaws.com/b", None),
        ("s3://s3.eu-west-1.example.com/b", None),
        ("s3://minio:9000/b?region=here_1&url-style=path", Some("here_1")),
    ] {
        assert_eq!(region(url).as_deref(), wanted, "{url}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_do() {
    for (url, wanted) in [
        ("/data", "is not a URL"),
        ("https://host/bucket", "write s3://endpoint/bucket/prefix"),
        ("s3://key:canary@host/bucket", "give them as AUTH_KEY and AUTH_SECRET"),
        ("s3://canary@host/bucket", "give them as AUTH_KEY and AUTH_SECRET"),
        ("s3://key:can/canary@host/bucket", "give them as AUTH_KEY and AUTH_SECRET"),
        ("s3:///bucket", "names no endpoint"),
        ("s3://host", "names no bucket"),
        ("s3://host/", "names no bucket"),
        ("s3://host//prefix", "names no bucket"),
        ("s3://host/b%2Fc", "other characters"),
        ("s3://host/b/a//c", "has a prefix with an empty"),
        ("s3://host/b#c", "write it as %23"),
        ("s3://host/b?access_key=canary", "unknown parameter `access_key`: secure, url-style and region are known"),
        ("s3://key:12?canary@host/b", "an unknown parameter: secure"),
        ("s3://host/b?canary", "an unknown parameter: secure"),
        ("s3://host/b?secure=yes", "`secure` that is neither true nor false"),
        ("s3://host/b?url-style=virtual", "`url-style` that is neither vhost nor path"),
        ("s3://host/b?region=", "`region` that is no region"),
        ("s3://host/b?secure=true&secure=false", "`secure` twice"),
        ("s3://127.0.0.1:9000/b?secure=false", "add url-style=path"),
        ("s3://[::1]/b", "add url-style=path"),
    ] {
        let error = S3Location::parse(url).expect_err(url);
        assert!(error.contains(wanted) && !error.contains("canary"), "{url}: {error}");
    }
}
