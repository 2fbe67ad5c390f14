//! Plans, for those who want to see before or after.

use clap::ValueEnum;
use pontoon_model::Step;
use pontoon_plan::Plan;
use pontoon_plan::command::{commands, script};
use serde::Serialize;

/// How a dry run shows its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Commands for a shell, each under its reason
    #[default]
    Script,
    /// The steps, each with its operation, reason and commands
    Json,
}

/// The flag of changing verbs.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanFlag {
    /// How --dry-run shows the plan
    #[arg(long = "format", value_name = "FORMAT")]
    pub(crate) format: Option<PlanFormat>,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    step: &'a Step,
    commands: Vec<String>,
}

/// A plan that is not carried out. `note` says what it does not consider.
pub(crate) fn dry_run(plan: &Plan, format: PlanFormat, note: Option<&str>) -> String {
    match format {
        PlanFormat::Json => json(plan),
        PlanFormat::Script => {
            let mut text = String::from("# What would be done; nothing has been changed.\n");
            if let Some(note) = note {
                text.push_str(&format!("# {note}.\n"));
            }
            text.push_str(if plan.is_empty() { "# There is nothing to do.\n" } else { "\n" });
            text + &script(plan)
        }
    }
}

fn json(plan: &Plan) -> String {
    let steps: Vec<Shown<'_>> =
        plan.steps.iter().map(|step| Shown { step, commands: commands(&step.op) }).collect();
    let text = serde_json::to_string_pretty(&steps).expect("plans are made of text and numbers");
    text + "\n"
}

/// A plan that was carried out.
pub(crate) fn done(plan: &Plan) -> String {
    script(plan)
}
