//! What happens to a project: on a terminal a line for each that moves as long as something is done, plain lines
//! otherwise.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pontoon_project::{Progress, Sign};

use crate::output;

/// How often lines move.
const FRAME: Duration = Duration::from_millis(80);

/// Shows progress on standard output.
pub(crate) struct Board {
    /// Only on a terminal.
    bars: Option<MultiProgress>,
    moving: BTreeMap<String, (ProgressBar, Instant)>,
    drawn: Instant,
}

impl Board {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let target = || MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        Self { bars: terminal.then(target), moving: BTreeMap::new(), drawn: Instant::now() }
    }

    pub(crate) fn tell(&mut self, progress: Progress) {
        match progress {
            Progress::Doing { subject, what } => self.doing(subject, &what),
            Progress::Done { sign, subject, what, differences } => {
                let mut text = vec![what];
                text.extend(differences.iter().map(ToString::to_string));
                text.retain(|part| !part.is_empty());
                self.done(sign, &subject, &text.join(", "));
            }
            Progress::Tick => self.tick(),
            Progress::Warning(warning) => self.aside(|| output::warning(&warning)),
        }
    }

    fn doing(&mut self, subject: String, what: &str) {
        let Some(bars) = &self.bars else { return };
        let (bar, _) = self.moving.entry(subject.clone()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(style()).with_prefix(subject);
            (bars.add(bar.with_message(what.to_owned())), Instant::now())
        });
        bar.set_message(what.to_owned());
        bar.tick();
    }

    fn done(&mut self, sign: Sign, subject: &str, text: &str) {
        let time = match self.moving.remove(subject) {
            Some((bar, since)) => {
                bar.finish_and_clear();
                Some(since.elapsed())
            }
            None => None,
        };
        let line = line(sign, subject, text, time.filter(|_| self.bars.is_some()));
        self.aside(|| {
            // Whoever closed standard output does not want to know.
            let _ = output::coloured(&line);
        });
    }

    fn tick(&mut self) {
        if self.drawn.elapsed() >= FRAME {
            self.moving.values().for_each(|(bar, _)| bar.tick());
            self.drawn = Instant::now();
        }
    }

    /// Prints something above the lines that move.
    fn aside(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.moving.values().for_each(|(bar, _)| bar.finish_and_clear());
    }
}

fn style() -> ProgressStyle {
    let template = "{spinner} {prefix}  {msg} {elapsed}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// `+ web  172.18.0.2`
pub(crate) fn line(sign: Sign, subject: &str, text: &str, time: Option<Duration>) -> String {
    let style = match sign {
        Sign::Added => AnsiColor::Green.on_default(),
        Sign::Changed => AnsiColor::Yellow.on_default(),
        Sign::Removed => AnsiColor::Red.on_default(),
        Sign::Kept => Style::new().dimmed(),
    };
    let took = time.map_or_else(String::new, |time| format!("  {:.2} s", time.as_secs_f64()));
    let gap = if text.is_empty() { "" } else { ": " };
    format!("{style}{} {subject}{style:#}{gap}{text}{took}\n", sign.mark())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_and_why() {
        let plain = |sign, text| {
            let line = line(sign, "web", text, None);
            anstream::adapter::strip_str(&line).to_string()
        };
        assert_eq!(plain(Sign::Added, "172.18.0.2"), "+ web: 172.18.0.2\n");
        assert_eq!(plain(Sign::Removed, ""), "- web\n");
        assert_eq!(
            plain(Sign::Changed, "ipv4_address 10.0.0.5 → 10.0.0.6"),
            "~ web: ipv4_address 10.0.0.5 → 10.0.0.6\n"
        );
    }
}
