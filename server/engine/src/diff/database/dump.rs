//! One sealed PostgreSQL dump: its table of contents, and where each table's rows are.

use std::{
    collections::BTreeMap,
    io::{Read as _, Seek as _},
    path::Path,
};

use holdfast_model::ledger::Ledger;
use holdfast_vault::{FileReader, Id};

use super::{Input, copy_text::Data, sql};
use crate::{
    failure::Failure,
    postgres::archive::{self, Contents, Index},
};

/// A table by its schema and name, as they are, without quotes.
pub(crate) type TableName = (String, String);

/// A table's data.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Columns in the order of a row; none if the data are no COPY text.
    pub(crate) columns: Option<Vec<String>>,
    /// The primary key, in its order; empty if there is none.
    pub(crate) key: Vec<String>,
    /// Offset and length of its block.
    block: Option<(u64, u64)>,
}

/// A sealed dump.
pub(crate) struct Dump {
    pub(crate) reader: FileReader,
    pub(crate) contents: Contents,
    pub(crate) tables: BTreeMap<TableName, Table>,
    pub(crate) ledger: Ledger,
    /// What belongs to the database itself.
    pub(crate) settings: serde_json::Value,
    index: Index,
    /// Where each blob begins.
    blobs: Vec<(u64, Id)>,
}

impl Dump {
    /// Reads what is small.
    ///
    /// # Errors
    /// What is sealed is not what it should be, or the vault cannot be read.
    pub(crate) fn open(input: &Input) -> Result<Self, Failure> {
        let index: Index = small(input, "dump.idx.json")?;
        let settings = small(input, "database.json")?;
        let mut reader = open(input, "dump.pgc")?;
        let contents = archive::open(&mut reader)
            .map_err(|error| Failure::Said(format!("the archive of `{}`: {error}", input.component.name)))?;
        let blobs = reader.blobs().collect();
        let ledger = input.component.ledger.clone().unwrap_or_default();
        let mut dump = Self { reader, contents, tables: BTreeMap::new(), ledger, settings, index, blobs };
        dump.find_tables();
        Ok(dump)
    }

    /// Whether it can be read at all; else why not.
    pub(crate) fn known(&self) -> Result<(), String> {
        if self.contents.known {
            return Ok(());
        }
        Err(format!("its archive has format {}, which this version cannot read", self.contents.version))
    }

    fn find_tables(&mut self) {
        let blocks: BTreeMap<i64, (u64, u64)> =
            self.index.entries.iter().map(|entry| (entry.id, (entry.offset, entry.length))).collect();
        for entry in self.contents.entries.iter().filter(|entry| entry.tag == "TABLE DATA") {
            let table = self.tables.entry((entry.schema.clone(), entry.name.clone())).or_default();
            table.columns = sql::copied(&entry.copy);
            table.block = blocks.get(&entry.id).copied();
        }
        for entry in self.contents.entries.iter().filter(|entry| entry.tag == "CONSTRAINT") {
            if let Some((name, key)) = sql::primary_key(&entry.sql)
                && let Some(table) = self.tables.get_mut(&name)
            {
                table.key = key;
            }
        }
    }

    /// A table's data, and the blobs that they are cut into; no blobs where the cuts are not at their beginning and end.
    pub(crate) fn data(&self, table: &Table) -> Option<(Data, Vec<Id>)> {
        let (offset, length) = table.block?;
        let end = offset + length;
        let from = self.blobs.partition_point(|blob| blob.0 < offset);
        let to = self.blobs.partition_point(|blob| blob.0 < end);
        let inside = &self.blobs[from..to];
        let file_end = self.reader.len();
        let begins = inside.first().is_some_and(|blob| blob.0 == offset);
        let ends = self.blobs.get(to).map_or(file_end, |blob| blob.0) == end;
        let mut pieces: Vec<(u64, u64)> = Vec::with_capacity(inside.len() + 1);
        let mut at = offset;
        for start in inside.iter().skip(usize::from(begins)).map(|blob| blob.0).chain([end]) {
            pieces.push((at, start - at));
            at = start;
        }
        let ids = if begins && ends { inside.iter().map(|blob| blob.1).collect() } else { Vec::new() };
        Some((Data { pieces, runs: Vec::new(), int: self.contents.int_size }, ids))
    }

    /// Where the large objects are: offset and length of each block.
    pub(crate) fn large_objects(&self) -> Vec<(u64, u64)> {
        let blocks = self.index.entries.iter().filter(|entry| entry.tag == "BLOBS");
        blocks.map(|entry| (entry.offset, entry.length)).collect()
    }
}

fn open(input: &Input, name: &str) -> Result<FileReader, Failure> {
    let place = Path::new(&input.component.place).join(name);
    let node = input.vault.find(&input.root, &place)?;
    Ok(input.vault.read(&node)?)
}

fn small<T: serde::de::DeserializeOwned>(input: &Input, name: &str) -> Result<T, Failure> {
    let mut bytes = Vec::new();
    let mut reader = open(input, name)?;
    reader.rewind().and_then(|()| reader.read_to_end(&mut bytes)).map_err(|e| Failure::io(Path::new(name), &e))?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::Said(format!("{name} cannot be read: {error}")))
}
