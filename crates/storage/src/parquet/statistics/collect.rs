#[derive(Debug)]
pub(crate) struct Collector;
