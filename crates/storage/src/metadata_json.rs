//! `metadata.json`: the files of a bucket for readers in other languages.
