use uuid::Uuid;

use super::*;

#[test]
fn a_grave_of_version_1_is_this_text() {
    let text = concat!(
        r#"{"v":1,"file":"00000000-0000-0000-0000-000000000003","layer":"hot","#,
        r#""path":"db/cpu/date=2025-04-10/hour=07/x.1.parquet","version":4,"delete_after":5}"#,
    );
    let grave = StoredGrave::decode(text.as_bytes()).unwrap();
    assert_eq!((grave.file, grave.version), (FileId::from_uuid(Uuid::from_u128(3)), 4));
    assert_eq!(grave.encode().unwrap(), text.as_bytes());
    let newer = StoredGrave::decode(text.replace(r#""v":1"#, r#""v":2"#).as_bytes()).unwrap_err();
    assert!(newer.to_string().contains("version 2"), "{newer}");
}
