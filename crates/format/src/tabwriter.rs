//! Aligned columns.
//!
//! Source: the documentation of Go's `text/tabwriter`, with Docker's settings (`postFormat()` in docker/cli's
//! cli/command/formatter/formatter.go): cells end with a tab, a column is at least ten wide, three of which are padding.
//! Cells below each other on adjacent lines form a column; what stands behind the last tab of a line is no cell.

use unicode_width::UnicodeWidthStr;

const LEAST_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Aligns the tab-terminated cells of `text`.
pub(crate) fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let widths = column_widths(&lines);
    let mut out = String::with_capacity(text.len() * 2);
    for (number, (line, widths)) in lines.iter().zip(&widths).enumerate() {
        out.push_str(if number == 0 { "" } else { "\n" });
        for (index, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if let Some(column) = widths.get(index) {
                out.push_str(&" ".repeat(column.saturating_sub(width(cell))));
            }
        }
    }
    out
}

/// For each line, the width of the column that each of its cells lies in.
fn column_widths(lines: &[Vec<&str>]) -> Vec<Vec<usize>> {
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len() - 1]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut start = 0;
        while start < lines.len() {
            let height = widths[start..].iter().take_while(|cells| cells.len() > column).count();
            let block = start..start + height;
            let widest = lines[block.clone()].iter().map(|line| width(line[column]) + PADDING).max();
            for cells in &mut widths[block] {
                cells[column] = widest.unwrap_or(0).max(LEAST_WIDTH);
            }
            start += height.max(1);
        }
    }
    widths
}

/// The columns that a terminal shows the text in; control characters take none.
fn width(text: &str) -> usize {
    if text.contains(char::is_control) {
        return text.chars().filter(|letter| !letter.is_control()).collect::<String>().width();
    }
    text.width()
}
