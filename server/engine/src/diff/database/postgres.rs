//! Two PostgreSQL databases by their sealed dumps and ledgers.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    diff::{DatabaseChanges, RowChanges, TableChange},
    ledger::TableFacts,
};

use super::{
    super::ledgers,
    Input, Terms, blobs,
    dump::{Dump, Table, TableName},
    rows::{self, Pairing, Shape},
    runs, schema, sql,
    window::{Stop, Tally},
};
use crate::failure::Failure;

/// What large objects are compared as.
const LARGE_OBJECTS: (&str, &str) = ("pg_catalog", "pg_largeobject");

/// Two dumps.
pub(super) struct Both<'a> {
    pub(super) first: (&'a Input, Dump),
    pub(super) second: (&'a Input, Dump),
    /// What the ledgers say of each table.
    facts: BTreeMap<TableName, (Option<TableFacts>, Option<TableFacts>)>,
}

/// How one table's rows are compared.
pub(super) struct Plan {
    /// Those that both have, in the second one's order.
    pub(super) columns: Vec<String>,
    /// Those of the primary key; empty where rows are compared as a whole.
    pub(super) key: Vec<String>,
    shapes: (Shape, Shape),
}

impl<'a> Both<'a> {
    pub(super) fn open(first: &'a Input, second: &'a Input) -> Result<Self, Failure> {
        let (first, second) = ((first, Dump::open(first)?), (second, Dump::open(second)?));
        let mut facts: BTreeMap<TableName, (Option<TableFacts>, Option<TableFacts>)> = BTreeMap::new();
        for (key, of) in &first.1.ledger.tables {
            facts.entry(name(key)).or_default().0 = Some(of.clone());
        }
        for (key, of) in &second.1.ledger.tables {
            facts.entry(name(key)).or_default().1 = Some(of.clone());
        }
        for name in first.1.tables.keys().filter(|name| second.1.tables.contains_key(*name)) {
            facts.entry(name.clone()).or_default();
        }
        Ok(Self { first, second, facts })
    }

    /// Everything that differs; rows are counted only if `terms` say so.
    pub(super) fn compare(&mut self, terms: &Terms) -> Result<DatabaseChanges, Failure> {
        // Definitions and sequences as the ledgers have them; of definitions the dumps say more.
        let mut changes = ledgers::compare(Some(&self.first.0.component), Some(&self.second.0.component));
        let facts = std::mem::take(&mut self.facts);
        if self.first.1.known().and(self.second.1.known()).is_ok() {
            changes.schema = schema::compare((self.first.0, &self.first.1), (self.second.0, &self.second.1));
            self.renamed(&facts, &mut changes);
        }
        (changes.tables, changes.unchanged_tables) = (Vec::new(), 0);
        for (name, (before, after)) in &facts {
            match self.table(name, before.as_ref(), after.as_ref(), terms)? {
                Some(change) => changes.tables.push(change),
                None => changes.unchanged_tables += 1,
            }
        }
        self.facts = facts;
        changes.tables.extend(self.large_objects(terms)?);
        Ok(changes)
    }

    /// A table that went and one that came with the same rows.
    fn renamed(
        &self,
        facts: &BTreeMap<TableName, (Option<TableFacts>, Option<TableFacts>)>,
        changes: &mut DatabaseChanges,
    ) {
        let gone: Vec<(&TableName, &TableFacts)> = facts
            .iter()
            .filter_map(|(name, (before, after))| {
                Some((name, before.as_ref().filter(|of| after.is_none() && of.rows > 0)?))
            })
            .collect();
        for object in changes.schema.iter_mut().filter(|object| object.kind == "table") {
            let name = (object.schema.clone(), object.name.clone());
            let Some((None, Some(of))) = facts.get(&name).map(|(before, after)| (before.as_ref(), after.as_ref()))
            else {
                continue;
            };
            if let Some(((schema, table), _)) = gone.iter().find(|(_, gone)| *gone == of) {
                object.details.push(format!("has the rows that {schema}.{table} had, which is gone: renamed?"));
            }
        }
    }

    fn table(
        &mut self,
        name: &TableName,
        before: Option<&TableFacts>,
        after: Option<&TableFacts>,
        terms: &Terms,
    ) -> Result<Option<TableChange>, Failure> {
        if self.is_same(name, before, after) {
            return Ok(None);
        }
        let told = |rows: RowChanges| TableChange {
            schema: name.0.clone(),
            name: name.1.clone(),
            before: before.map(|of| of.rows),
            after: after.map(|of| of.rows),
            rows,
        };
        // Neither ledger knows it: it belongs to an extension, which says itself what of it is dumped.
        let unknown = before.is_none() && after.is_none();
        if before.is_some() != after.is_some() || !terms.rows {
            return Ok((!unknown).then(|| told(RowChanges::NotRead)));
        }
        let counted = self.plan(name).and_then(|plan| {
            let tally = self.rows(name, &plan, Tally::default(), terms)?;
            Ok((plan.key, tally))
        });
        match counted {
            Ok((_, tally)) if tally.total() == 0 => Ok(None),
            Ok((_, _)) if unknown => Ok(None),
            Ok((key, tally)) => Ok(Some(told(RowChanges::Counted {
                added: tally.added,
                removed: tally.removed,
                changed: tally.changed,
                key,
            }))),
            Err(Stop::Unreadable(why)) => Ok(Some(told(RowChanges::Unreadable { why }))),
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }

    /// Whether the ledgers say that a table's rows are the same. They hash values by the columns' order of names, so the
    /// names count too.
    pub(super) fn is_same(&self, name: &TableName, before: Option<&TableFacts>, after: Option<&TableFacts>) -> bool {
        if before.is_none() || before != after {
            return false;
        }
        let (first, second) = (&self.first.1, &self.second.1);
        if first.known().and(second.known()).is_err() {
            let object = |dump: &Dump| {
                let named = |key: &&String| key.strip_prefix("table ").and_then(sql::split).as_ref() == Some(name);
                dump.ledger.objects.keys().find(named).and_then(|key| dump.ledger.objects.get(key)).cloned()
            };
            return object(first).is_some() && object(first) == object(second);
        }
        let columns = |dump: &Dump| {
            let columns = dump.tables.get(name)?.columns.as_ref()?;
            Some(columns.iter().cloned().collect::<BTreeSet<String>>())
        };
        columns(first) == columns(second)
    }

    /// The facts of one table, if both sides have it.
    pub(super) fn facts(&self, name: &TableName) -> Option<(&TableFacts, &TableFacts)> {
        let (before, after) = self.facts.get(name)?;
        Some((before.as_ref()?, after.as_ref()?))
    }

    /// How the rows of a table that both have are compared.
    pub(super) fn plan(&self, name: &TableName) -> Result<Plan, Stop> {
        let of = |(_, dump): &'_ (&Input, Dump)| -> Result<(Vec<String>, Vec<String>), Stop> {
            dump.known().map_err(Stop::Unreadable)?;
            let table = dump.tables.get(name);
            let table = table.ok_or_else(|| Stop::Unreadable("its rows are not in the dump".to_owned()))?;
            let columns = table.columns.clone();
            let columns = columns.ok_or_else(|| Stop::Unreadable("its rows are not dumped as COPY text".to_owned()))?;
            Ok((columns, table.key.clone()))
        };
        let ((first, first_key), (second, key)) = (of(&self.first)?, of(&self.second)?);
        let columns: Vec<String> = second.iter().filter(|name| first.contains(name)).cloned().collect();
        if columns.is_empty() && !(first.is_empty() && second.is_empty()) {
            return Err(Stop::Unreadable("it has no column in common on both sides".to_owned()));
        }
        let same = |one: &[String], other: &[String]| {
            one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
        };
        let keyed = !key.is_empty() && same(&key, &first_key) && key.iter().all(|name| columns.contains(name));
        let key = if keyed { key } else { Vec::new() };
        let whole = first == second;
        let shape = |all: &[String]| {
            let at = |name: &String| all.iter().position(|other| other == name);
            Shape {
                columns: all.len(),
                key: key.iter().filter_map(at).collect(),
                compared: (!whole).then(|| columns.iter().filter_map(at).collect()),
            }
        };
        let shapes = (shape(&first), shape(&second));
        Ok(Plan { columns, key, shapes })
    }

    /// Compares the rows of a table that both have.
    pub(super) fn rows(
        &mut self,
        name: &TableName,
        plan: &Plan,
        mut tally: Tally,
        terms: &Terms,
    ) -> Result<Tally, Stop> {
        let data = |dump: &Dump| dump.tables.get(name).and_then(|table: &Table| dump.data(table));
        let missing = || Stop::Unreadable("its rows are not in the dump".to_owned());
        let (mut first, first_ids) = data(&self.first.1).ok_or_else(missing)?;
        let (mut second, second_ids) = data(&self.second.1).ok_or_else(missing)?;
        // Equal bytes are equal rows only where the columns stand alike.
        if plan.shapes.0.compared.is_none() {
            (first.runs, second.runs) = runs::common(&first_ids, &second_ids, terms.memory / 4);
        }
        let begin = |data: &super::copy_text::Data| data.pieces.first().map_or(0, |piece| piece.0);
        tally.begin((begin(&first), begin(&second)));
        let (one, other) = (&mut self.first.1.reader, &mut self.second.1.reader);
        let (shapes, cancel) = (&plan.shapes, &terms.cancel);
        rows::pair(
            |feed| rows::read(one, &first, &shapes.0, cancel, feed),
            |feed| rows::read(other, &second, &shapes.1, cancel, feed),
            Pairing { keyed: !plan.key.is_empty(), memory: terms.memory, scratch: &terms.scratch, tally },
        )
    }

    /// Large objects are compared like rows, their numbers being the key.
    fn large_objects(&mut self, terms: &Terms) -> Result<Option<TableChange>, Failure> {
        let facts = |dump: &Dump| dump.ledger.large_objects.clone();
        let (before, after) = (facts(&self.first.1), facts(&self.second.1));
        if before == after {
            return Ok(None);
        }
        let rows = if !terms.rows {
            RowChanges::NotRead
        } else if let Err(why) = self.first.1.known().and(self.second.1.known()) {
            RowChanges::Unreadable { why }
        } else {
            match self.count_large_objects(terms) {
                Ok(tally) => RowChanges::Counted {
                    added: tally.added,
                    removed: tally.removed,
                    changed: tally.changed,
                    key: vec!["loid".to_owned()],
                },
                Err(Stop::Unreadable(why)) => RowChanges::Unreadable { why },
                Err(Stop::Failed(failure)) => return Err(failure),
            }
        };
        let count = |facts: Option<TableFacts>| Some(facts.map_or(0, |of| of.rows));
        let (schema, name) = LARGE_OBJECTS;
        let (before, after) = (count(before), count(after));
        Ok(Some(TableChange { schema: schema.to_owned(), name: name.to_owned(), before, after, rows }))
    }

    fn count_large_objects(&mut self, terms: &Terms) -> Result<Tally, Stop> {
        let (blocks, others) = (self.first.1.large_objects(), self.second.1.large_objects());
        let (int, other_int) = (self.first.1.contents.int_size, self.second.1.contents.int_size);
        let (one, other) = (&mut self.first.1.reader, &mut self.second.1.reader);
        let cancel = &terms.cancel;
        rows::pair(
            |feed| blobs::read(one, &blocks, int, cancel, feed),
            |feed| blobs::read(other, &others, other_int, cancel, feed),
            Pairing { keyed: true, memory: terms.memory, scratch: &terms.scratch, tally: Tally::default() },
        )
    }
}

/// A table by its key in the ledger.
fn name(key: &str) -> TableName {
    sql::split(key).unwrap_or_else(|| (String::new(), key.to_owned()))
}
