//! `pontoon firewall check`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_engine::firewall::{Finding, Severity};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// Show what other firewalls drop of containers' packets, and what lets it through
///
/// Nothing is changed. The exit code is 1 if something that a network needs is dropped. What a firewall may drop by a
/// special rule, and that containers do not reach the host itself but for names, is noted, for somebody may want it so.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Sentences, and commands under them
    Text,
    /// Everything that was found
    Json,
}

impl Check {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let findings = global.session()?.foreign_firewalls()?;
        match self.format {
            Format::Text => output::print(&text(&findings))?,
            Format::Json => output::json(&findings)?,
        }
        let blocks = findings.iter().any(|finding| finding.severity == Severity::Blocks);
        Ok(if blocks { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    if !findings.iter().any(|finding| finding.severity == Severity::Blocks) {
        text.push_str("nothing is in the way\n");
    }
    let mut can_integrate = false;
    for finding in findings {
        let label = if finding.severity == Severity::Note { "note: " } else { "" };
        text.push_str(&format!("{label}{} [{}]\n", finding.sentence, finding.code));
        let reasons = finding.reasons.iter().skip(1);
        text.extend(
            reasons.map(|reason| format!("  also by {}: {}\n", reason.chains.join(" → "), reason.text)),
        );
        text.extend(finding.fix.iter().map(|command| format!("    {command}\n")));
        can_integrate |= finding.severity == Severity::Blocks && !finding.legacy;
    }
    if can_integrate {
        text.push_str(
            "`pontoon firewall integrate` does this for all networks, and `release` takes it back\n",
        );
    }
    text
}
