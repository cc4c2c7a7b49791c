use super::FileStatistics;
use crate::Result;
pub(super) fn encode(_: &FileStatistics) -> Vec<u8> {
    todo!()
}
pub(super) fn decode(_: &[u8]) -> Result<FileStatistics> {
    todo!()
}
