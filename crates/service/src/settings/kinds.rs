//! Closed sets of words that settings take.
//!
//! Each set knows its words, so the parser, the message of a wrong value and the request parameters that
//! use the same words cannot differ.

use std::fmt;
use std::str::FromStr;

/// A text that is not one of a set's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not one of {words}")]
pub struct UnknownWord {
    words: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// The words, in the order of the definition.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text.to_ascii_lowercase().as_str() {
                    $($word $(| $alias)* => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { words: Self::WORDS.join(", ") }),
                }
            }
        }
    };
}

words!(
    /// Which part the program plays.
    Mode {
        /// Writer, querier and compactor in one process.
        AllInOne = "aio",
        /// The writer alone.
        WriteOnly = "writeonly",
        /// The querier alone.
        ReadOnly = "readonly",
        /// The compactor alone.
        Compaction = "compaction",
    }
);

impl Mode {
    /// Whether this process takes writes.
    pub const fn writes(self) -> bool {
        matches!(self, Self::AllInOne | Self::WriteOnly)
    }

    /// Whether this process answers queries.
    pub const fn reads(self) -> bool {
        matches!(self, Self::AllInOne | Self::ReadOnly)
    }

    /// Whether this process merges, relocates and expires.
    pub const fn compacts(self) -> bool {
        matches!(self, Self::AllInOne | Self::Compaction)
    }
}

words!(
    /// What a write has survived when it is acknowledged.
    Durability {
        /// Validated and queued for the write-ahead log; survives nothing.
        Memory = "memory",
        /// In the synced write-ahead log; survives a crash and power loss on the same volume.
        Wal = "wal",
        /// In a committed data file; survives the node if layer and catalog are elsewhere.
        Commit = "commit",
    }
);

words!(
    /// The key that line protocol gives to tables that it makes.
    DefaultKey {
        /// Tags and time: the last write of a field wins.
        Tags = "tags",
        /// None: every row is kept.
        None = "none",
    }
);

words!(
    /// Which rows a query sees.
    Consistency {
        /// Those in committed files, and those that a writer in the same process holds.
        Committed = "committed",
        /// Every row that was acknowledged before the query: writers in other processes are asked for theirs.
        Tail = "tail",
        /// As tail, without the rows of writers that do not answer, which the answer names.
        TailBestEffort = "tail_best_effort",
    }
);

words!(
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
);
