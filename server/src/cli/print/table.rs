//! Columns of text: as wide as their widest cell on a screen, apart by two spaces or more, nothing at the line's end.

use console::measure_text_width;

/// A table that grows row by row.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    indent: usize,
    right: Vec<usize>,
}

impl Table {
    /// With these heads.
    pub fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()], indent: 0, right: Vec::new() }
    }

    /// Every line begins with so many spaces.
    pub const fn indented(mut self, by: usize) -> Self {
        self.indent = by;
        self
    }

    /// These columns, counted from 0, stand at the right: numbers.
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// One more row; an empty cell is shown as `-`, so that the columns can be counted.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }).collect());
    }

    /// All lines, without a newline at the end.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut text = " ".repeat(self.indent);
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column].saturating_sub(measure_text_width(cell)));
                if self.right.contains(&column) {
                    text.push_str(&padding);
                    text.push_str(cell);
                } else {
                    text.push_str(cell);
                    text.push_str(&padding);
                }
                text.push_str("  ");
            }
            text.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&["ID", "SIZE", "NAME"]).right(&[1]);
        table.row(vec!["chk_1".into(), "2.75 GB".into(), "größe".into()]);
        table.row(vec!["chk_10".into(), "9 B".into(), String::new()]);
        assert_eq!(table.render(), "ID         SIZE  NAME\nchk_1   2.75 GB  größe\nchk_10      9 B  -");
    }
}
