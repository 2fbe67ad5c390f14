//! Rules and files of ours in the firewalls of others.

use std::path::Path;

use pontoon_model::op::GuestOp;
use pontoon_nft::ruleset::ListedRule;
use pontoon_nft::syntax::{Command, Rule, TableRef};

use super::{Executor, Refusal};
use crate::nftables::{self, ApplyError};
use crate::{file, process};

/// How often a chain that others change meanwhile is read again.
const ATTEMPTS: u32 = 16;

/// `SIGHUP`
const HANGUP: i32 = 1;

impl Executor {
    pub(super) fn guest(&mut self, op: &GuestOp) -> Result<(), Refusal> {
        match op {
            GuestOp::AddRules { table, chain, rules } => self.change_chain(table, chain, |there| {
                let missing = rules.iter().filter(|rule| !there.iter().any(|seen| seen.rule.says_as(rule)));
                // Each goes to the top, so the last one comes first.
                let insert = |rule: &Rule| Command::InsertRule {
                    table: table.clone(),
                    chain: chain.clone(),
                    rule: rule.clone(),
                };
                missing.rev().map(insert).collect()
            }),
            GuestOp::RemoveRules { table, chain, rules, .. } => {
                let removed = self.change_chain(table, chain, |there| {
                    let ours = there.iter().filter(|seen| rules.iter().any(|rule| seen.rule.says_as(rule)));
                    let delete = |seen: &ListedRule| Command::DeleteRule {
                        table: table.clone(),
                        chain: chain.clone(),
                        handle: seen.handle,
                    };
                    ours.map(delete).collect()
                });
                match removed {
                    Err(Refusal::Nft(error)) if error.is_not_found() => Ok(()),
                    done => done,
                }
            }
            GuestOp::WriteFile { path, contents } => Ok(file::write_own(Path::new(path), contents)?),
            GuestOp::RemoveFile { path, mark } => Ok(file::remove_guest(Path::new(path), mark)?),
            GuestOp::Reload { program } => {
                for process in process::running_here(program) {
                    // It may have ended in this moment; the next one reads its files anyway.
                    let _ = process.signal(HANGUP);
                }
                Ok(())
            }
        }
    }

    /// Changes a chain by what is in it now: if anything changes in between, once more.
    fn change_chain(
        &mut self,
        table: &TableRef,
        chain: &str,
        change: impl Fn(&[ListedRule]) -> Vec<Command>,
    ) -> Result<(), Refusal> {
        let socket = self.nft_socket()?;
        for attempt in 1.. {
            let generation = nftables::generation(socket)?;
            let listed = nftables::list_table(socket, table)?;
            let rules =
                listed.as_ref().and_then(|table| table.chain(chain)).map_or(&[][..], |chain| &chain.rules);
            match nftables::apply_at(socket, &change(rules), generation) {
                Err(error) if error.is_stale() && attempt < ATTEMPTS => {}
                done => return done.map_err(|error: ApplyError| error.into()),
            }
        }
        Ok(())
    }
}
