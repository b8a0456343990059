//! Addresses of a comparison and of what is opened in it: each can be shared.

use holdfast_model::diff::Diff;

use crate::{
    backend::{FileAsked, Pair},
    pages::restore::href_of_table,
};

impl Pair {
    /// The two of a comparison.
    pub fn of(diff: &Diff) -> Self {
        Self { first: diff.first.checkpoint.to_string(), second: diff.second.checkpoint.to_string() }
    }

    /// The comparison itself.
    pub fn href(&self) -> String {
        compare(&self.first, &self.second)
    }

    /// One file of it. `path` is the raw path in hexadecimal where it is not text.
    pub fn file(&self, component: &str, path: &str, raw: Option<&str>) -> String {
        let key = if raw.is_some() { "raw" } else { "path" };
        let path = raw.unwrap_or(path);
        self.open("file", &[("component", component), (key, path)])
    }

    /// The changed rows of one table, beginning behind the first `after`.
    pub fn table(&self, component: &str, schema: &str, table: &str, after: u64) -> String {
        let after = after.to_string();
        let mut query = vec![("component", component), ("schema", schema), ("table", table)];
        if after != "0" {
            query.push(("after", after.as_str()));
        }
        self.open("table", &query)
    }

    /// The restore of one table of a PostgreSQL component, as the first has it.
    pub fn put_back(&self, component: &str, schema: &str, table: &str) -> String {
        href_of_table(&self.first, component, schema, table)
    }

    /// The values of one variable.
    pub fn value(&self, component: &str, variable: &str) -> String {
        self.open("value", &[("component", component), ("variable", variable)])
    }

    fn open(&self, what: &str, more: &[(&str, &str)]) -> String {
        let all = [("first", self.first.as_str()), ("second", self.second.as_str())];
        format!("/compare/{what}?{}", query(all.iter().chain(more)))
    }
}

impl FileAsked {
    /// Its own address.
    pub fn href(&self) -> String {
        self.pair.file(&self.component, self.path.as_deref().unwrap_or_default(), self.raw.as_deref())
    }
}

/// The comparison of two, by id or by what else names a checkpoint.
pub fn compare(first: &str, second: &str) -> String {
    format!("/compare?{}", query([("first", first), ("second", second)].iter()))
}

fn query<'a>(pairs: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        text.append_pair(name, value);
    }
    text.finish()
}
