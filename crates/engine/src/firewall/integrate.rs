//! Letting our bridges through the firewalls of others, and taking that back.

use std::fs;
use std::time::{Duration, Instant};

use ipnet::{Ipv4Net, Ipv6Net};
use pontoon_explain::firewall::{Bridge, DOCKER_USER, Facts, Place, docker_bridges, owner, places};
use pontoon_kernel::process::running_here;
use pontoon_model::network::{Driver, NAMES};
use pontoon_model::op::GuestOp;
use pontoon_model::{Network, Op};
use pontoon_nft::ruleset::{ListedChain, Table};
use pontoon_nft::syntax::{Hook, Rule, TableRef};
use pontoon_plan::{Plan, guest};
use pontoon_store::{Recovery, Subject};

use crate::journal::Prepared;
use crate::{Engine, EngineError, Mode, Outcome, segment};

/// The note that says whether bridges are to be let through. It outlives a reboot.
const INTEGRATED: &str = "firewall-integrated";
const YES: &str = "yes";

/// How long firewalld may take to read its files: half a second on a small machine, more on a busy one.
const RELOADING: Duration = Duration::from_secs(15);

/// What was done about the firewalls of others, and what is left to a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Integration {
    /// What lets our bridges through now, or no longer does: chains and files.
    pub places: Vec<String>,
    /// Commands for what Pontoon cannot change.
    pub by_hand: Vec<String>,
}

impl Engine {
    /// Has the firewalls of others that are in the way let our bridges through, now and whenever `restore` runs or a
    /// network is made.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or a file that is somebody else's is where ours is to be; everything is undone then.
    pub fn firewall_integrate(&mut self) -> Result<Outcome<Integration>, EngineError> {
        let guard = self.exclusive()?;
        let done = self.integrate(None);
        drop(guard);
        done
    }

    /// Takes all rules and files of ours out of the firewalls of others.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; what is left is taken out by the next command.
    pub fn firewall_release(&mut self) -> Result<Outcome<Integration>, EngineError> {
        let guard = self.exclusive()?;
        let done = self.release_firewalls();
        drop(guard);
        done
    }

    pub(crate) fn is_integrated(&self) -> Result<bool, EngineError> {
        Ok(self.store.read(|tx| tx.meta_get(INTEGRATED))?.as_deref() == Some(YES))
    }

    /// Lets through what was to be let through before and is not, or not yet: `new` is a network that is being made.
    /// The caller holds the writers' lock.
    fn renew_integration(&mut self, new: Option<&Network>) -> Result<Plan, EngineError> {
        if !self.is_integrated()? {
            return Ok(Plan::default());
        }
        Ok(self.integrate(new)?.plan)
    }

    /// After a network was made: lets it through where that is wanted, and warns where it is not.
    pub(crate) fn let_through(&mut self, mut made: Outcome<Network>) -> Outcome<Network> {
        match self.renew_integration(Some(&made.value)) {
            Ok(plan) => made.plan.append(plan),
            Err(error) => self.warn(not_renewed(&error)),
        }
        self.heed_firewalls([&made.value]);
        made
    }

    /// After a large network was given another bridge. The caller holds the writers' lock.
    pub(crate) fn let_segment_through(&mut self) {
        if let Err(error) = self.renew_integration(None) {
            self.warn(not_renewed(&error));
        }
    }

    /// After networks were restored: as [`Engine::let_through`], for all there are.
    pub(crate) fn let_all_through<T>(&mut self, mut restored: Outcome<T>) -> Outcome<T> {
        let renewed = self.renew_integration(None).and_then(|plan| {
            restored.plan.append(plan);
            Ok(self.store.read(|tx| tx.networks())?)
        });
        match renewed {
            Ok(networks) => self.heed_firewalls(&networks),
            Err(error) => self.warn(not_renewed(&error)),
        }
        restored
    }

    fn integrate(&mut self, new: Option<&Network>) -> Result<Outcome<Integration>, EngineError> {
        let mut networks = self.store.read(|tx| tx.networks())?;
        networks.extend(new.cloned());
        let mut bridges = self.bridges(&networks)?;
        let mut names = Vec::new();
        for network in networks.iter().filter(|network| network.driver == Driver::Bridge) {
            names.push(network.bridge_name.to_string());
            let large = self.store.read(|tx| segment::laid(tx, network))?;
            names.extend(large.first().map(|_| network.further_bridges()));
        }
        // Not those whose containers ask for none.
        let named = bridges.iter().filter(|bridge| !bridge.names.is_empty() && !bridge.further);
        let named: Vec<String> = named.map(|bridge| bridge.name.clone()).collect();
        bridges.push(any_bridge());
        let facts = self.firewall_facts(bridges)?;
        let mut value = Integration::default();
        let mut plan = Plan::default();
        for place in places(&facts) {
            match place {
                Place::ByHand { commands, .. } => value.by_hand.extend(commands),
                Place::Firewalld => {
                    plan.append(guest::enter_firewalld(self.stale_files(&names)));
                    value.places.push("firewalld's zones and policies".to_owned());
                }
                Place::Chain { table, chain, hook, owner } => {
                    let others = others(&facts, &table, &chain);
                    let present =
                        self.our_rules(&facts, |listed, of| listed.table == table && of.chain.name == chain);
                    let present = present.into_iter().flat_map(|chain| chain.present).collect();
                    value.places.push(format!("{chain} of table {table} ({owner})"));
                    let chain = guest::Chain { table, name: chain, owner: owner.to_string(), present };
                    let names = match hook {
                        Hook::Forward => guest::names(self.instance(), &names),
                        _ => guest::named(&named),
                    };
                    let rules = guest::rules(self.instance(), hook, &names, &others);
                    plan.append(guest::enter_chain(rules, hook, &chain));
                }
            }
        }
        let done = self.change(
            |_| {
                let what = String::from("let bridges through the firewalls of others");
                Ok(Prepared { value, plan, subject: Subject::Prune, recovery: Recovery::Undo, what })
            },
            |tx, _| Ok(tx.lasting_meta_set(INTEGRATED, YES)?),
        )?;
        self.await_firewalld(&done.plan, true)?;
        Ok(done)
    }

    pub(crate) fn release_firewalls(&mut self) -> Result<Outcome<Integration>, EngineError> {
        let facts = Facts { ruleset: self.other_tables()?, ..Facts::default() };
        let mut value = Integration::default();
        let mut plan = Plan::default();
        for chain in self.our_rules(&facts, |_, _| true) {
            value.places.push(format!("{} of table {} ({})", chain.name, chain.table, chain.owner));
            plan.append(guest::leave_chain(&chain));
        }
        let mark = self.instance().guest_mark();
        let mut files = guest::firewalld_files(self.instance(), &[]);
        files.retain(|(path, _)| fs::read_to_string(path).is_ok_and(|text| first_line_has(&text, &mark)));
        if !files.is_empty() {
            value.places.push("firewalld's zones and policies".to_owned());
        }
        plan.append(guest::leave_firewalld(&files));
        if plan.is_empty() && !self.is_integrated()? {
            return Ok(Outcome { value, plan });
        }
        let done = self.change(
            |at| {
                // A release that is cut off is finished.
                at.tx.lasting_meta_set(INTEGRATED, "")?;
                let what = String::from("take rules of ours out of the firewalls of others");
                Ok(Prepared { value, plan, subject: Subject::Prune, recovery: Recovery::Finish, what })
            },
            |_, _| Ok(()),
        )?;
        self.await_firewalld(&done.plan, false)?;
        Ok(done)
    }

    /// firewalld reads its files in its own time: waits until it has made our zone's chains, or taken them away.
    fn await_firewalld(&mut self, plan: &Plan, there: bool) -> Result<(), EngineError> {
        let reloads = |op: &Op| matches!(op, Op::Guest(GuestOp::Reload { .. }));
        if self.mode == Mode::DryRun || !plan.ops().any(reloads) || running_here("firewalld").is_empty() {
            return Ok(());
        }
        let suffix = format!("_{}", self.instance().firewalld_zone());
        let start = Instant::now();
        loop {
            let ruleset = self.other_tables()?;
            let mut chains = ruleset.tables.iter().flat_map(|table| &table.chains);
            let made = chains.any(|chain| chain.chain.name.ends_with(&suffix));
            // While it works, another table of its own drops everything.
            let works = ruleset.tables.iter().any(|table| table.table.name == "firewalld_policy_drop");
            if made == there && !works {
                return Ok(());
            }
            if start.elapsed() > RELOADING {
                self.warn("firewalld has not read its files again yet\n`firewall-cmd --reload` has it do so");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The chains of others with rules that carry our mark.
    fn our_rules(&self, facts: &Facts, wanted: impl Fn(&Table, &ListedChain) -> bool) -> Vec<guest::Chain> {
        let mark = self.instance().guest_mark();
        let is_ours = |rule: &Rule| rule.comment.as_deref() == Some(mark.as_str());
        let mut found = Vec::new();
        for table in &facts.ruleset.tables {
            for chain in table.chains.iter().filter(|chain| wanted(table, chain)) {
                let ours = chain.rules.iter().filter(|listed| is_ours(&listed.rule));
                let present: Vec<_> = ours.map(|listed| (listed.handle, listed.rule.clone())).collect();
                if !present.is_empty() {
                    found.push(guest::Chain {
                        table: table.table.clone(),
                        name: chain.chain.name.clone(),
                        owner: owner(table, &chain.chain.name).to_string(),
                        present,
                    });
                }
            }
        }
        found
    }

    /// The files for firewalld that are not there as they should be.
    fn stale_files(&self, bridges: &[String]) -> Vec<(String, String)> {
        // An interface can be in one zone: the pattern for generated names is the default instance's.
        let names = match self.instance().default_bridge() {
            Some(_) => guest::names(self.instance(), bridges),
            None => bridges.to_vec(),
        };
        let mut files = guest::firewalld_files(self.instance(), &names);
        files.retain(|(path, contents)| !fs::read_to_string(path).is_ok_and(|found| found == *contents));
        files
    }
}

/// The bridges whose owner's rules come after `chain` and know best: Docker's, in the chain that it keeps for others.
fn others(facts: &Facts, table: &TableRef, chain: &str) -> Vec<String> {
    let found = facts.ruleset.tables.iter().find(|found| found.table == *table);
    found.filter(|_| chain == DOCKER_USER).map(docker_bridges).unwrap_or_default()
}

fn not_renewed(error: &EngineError) -> String {
    format!("could not renew what lets bridges through the firewalls of others: {error}")
}

fn first_line_has(text: &str, mark: &str) -> bool {
    text.lines().next().is_some_and(|line| line.contains(mark))
}

/// A bridge such as the next network will have, so that it is let through too.
fn any_bridge() -> Bridge {
    let net = "the constant is a subnet";
    let v4: Ipv4Net = "192.0.2.0/24".parse().expect(net);
    let v6: Ipv6Net = "2001:db8::/32".parse().expect(net);
    let names = vec![v4.network().into(), NAMES.into(), v6.network().into()];
    Bridge { name: "pt-0".into(), v4: Some(v4), v6: Some(v6), outside: true, names, further: false }
}
