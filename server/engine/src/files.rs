//! Files: a directory, or a single file, as it is on disk, without what its patterns leave out.

use std::{path::PathBuf, sync::Arc};

use holdfast_model::manifest::Facts;
use holdfast_vault::{Cancel, Meter, Node, Source, TreeId, Writer};
use time::OffsetDateTime;

use crate::{failure::Failure, place::shown};

mod selection;
pub(crate) use selection::{LeftOut, Selection, TRASH, matcher, neighbours};

/// A `files` component that exists, with patterns that can be read.
pub(crate) struct Prepared {
    selection: Arc<Selection>,
    path: PathBuf,
    parent: Option<TreeId>,
}

/// What came of it.
pub(crate) struct FilesCapture {
    pub node: Node,
    pub instant: OffsetDateTime,
    pub size: u64,
    pub stored: u64,
    pub items: u64,
    pub facts: Facts,
    /// Path, reason, message.
    pub skipped: Vec<(String, String, String)>,
    pub not_covered: Vec<String>,
}

/// Looks at `path` and reads the patterns.
///
/// # Errors
/// The path is not there, cannot be read or lies in a forbidden place; a pattern is not one.
pub(crate) fn prepare(
    path: &std::path::Path,
    patterns: &[String],
    left_out: Vec<LeftOut>,
    forbidden: &[PathBuf],
    parent: Option<TreeId>,
) -> Result<Prepared, Failure> {
    let selection = Selection::new(path, patterns, left_out, forbidden, None).map_err(Failure::Said)?;
    selection.readable().map_err(Failure::Said)?;
    Ok(Prepared { selection: Arc::new(selection), path: path.to_path_buf(), parent })
}

impl Prepared {
    /// Walks and stores; `instant` is the start of the walk. A thrown `cancel` ends the walk and fails.
    pub(crate) fn stream(self, writer: &Writer, cancel: &Cancel, meter: &Meter) -> Result<FilesCapture, Failure> {
        let (filter, stop) = (self.selection.clone(), cancel.clone());
        let source = Source {
            root: self.selection.root().to_path_buf(),
            filter: Arc::new(move |relative, is_dir| !stop.is_cancelled() && filter.takes(relative, is_dir)),
            parent: self.parent,
        };
        let instant = OffsetDateTime::now_utc();
        let archived = writer.archive(&source, meter)?;
        cancel.check()?;
        let single = self.selection.is_single_file();
        if single && archived.files + archived.others == 0 && archived.skipped.is_empty() {
            return Err(Failure::Said(format!("{} has gone while it was captured", self.path.display())));
        }
        let skipped = archived.skipped.iter();
        Ok(FilesCapture {
            instant,
            size: archived.bytes,
            stored: archived.stored,
            items: archived.files,
            facts: Facts::Files {
                path: self.path.to_string_lossy().into_owned(),
                exclude: self.selection.patterns().to_vec(),
                files: archived.files,
                // The folder around a single file is not part of the component: 0 says so to a restore.
                dirs: if single { 0 } else { archived.dirs },
                others: archived.others,
                unchanged: archived.unchanged,
            },
            skipped: skipped
                .map(|s| (shown(&s.path), format!("{:?}", s.reason).to_lowercase(), s.message.clone()))
                .collect(),
            not_covered: self.selection.not_covered(),
            node: archived.node,
        })
    }
}
