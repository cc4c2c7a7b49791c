//! Identities. All are UUIDs that are minted once and never reused.
//!
//! Minting goes through [`Ids`], so that tests can repeat a run; calling the `uuid` crate elsewhere is
//! banned by the lints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an identity that was minted before.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The identity as a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// One incarnation of a table: a table dropped and made again under its name has another.
    TableId
);
id!(
    /// One data file. Version 7: its leading bits are the catalog's time in milliseconds at minting.
    FileId
);
id!(
    /// One write-ahead log, kept inside its folder. Not a process, not a pod.
    WriterId
);
id!(
    /// One attempt to change a table, recorded so that a repeated attempt changes nothing.
    CommitId
);
id!(
    /// One claim on files to be merged or relocated.
    ClaimId
);
id!(
    /// One catalog, whatever happened to its store: layers carry it in their marker object.
    CatalogId
);

impl FileId {
    /// When the id was minted, by the catalog's clock; millisecond resolution.
    pub fn minted_at(self) -> Timestamp {
        let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |t| t.to_unix());
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))
    }
}

/// Mints identities.
pub trait Ids: Send + Sync + fmt::Debug {
    /// A version 7 UUID whose time is `at`.
    fn timed(&self, at: Timestamp) -> Uuid;

    /// A UUID without meaning.
    fn random(&self) -> Uuid;

    /// A data file's id, minted at `at` of the catalog's clock.
    fn file_id(&self, at: Timestamp) -> FileId {
        FileId(self.timed(at))
    }
}

/// Identities from the operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

#[expect(clippy::disallowed_methods, reason = "the one place that mints identities")]
impl Ids for SystemIds {
    fn timed(&self, at: Timestamp) -> Uuid {
        let nanos = u64::try_from(at.nanos()).unwrap_or(0);
        let sub_second = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, nanos / 1_000_000_000, sub_second))
    }

    fn random(&self) -> Uuid {
        Uuid::new_v4()
    }
}
