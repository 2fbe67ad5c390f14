//! Published ports, and what goes through them and through bridges.

use std::fmt::{self, Write as _};

use super::{both, share, table, time, with_head};
use crate::connections::FEW;
use crate::figures::Figures;
use crate::goal::ratio;
use crate::path::Passage;
use crate::ports::{ALONG, Along};
use crate::rates::Rates;
use crate::samples::Samples;
use crate::scale::AT_ONCE;

/// The sections, in their order.
pub(super) const SECTIONS: [fn(&mut String, &Figures) -> fmt::Result; 5] =
    [along, one_more, at_once, connections, passages];

fn along(text: &mut String, figures: &Figures) -> fmt::Result {
    if figures.along.is_empty() {
        return Ok(());
    }
    writeln!(text, "## Attaches that publish ports\n")?;
    writeln!(
        text,
        "An attach without ports, with {ALONG} as one range (`-p 8000-8099:8000-8099`) and with {ALONG} that are not \
         beside each other (`-p 8000:80 -p 8002:80 …`), in turns, on a network with nothing else on it. Median, and \
         99th percentile; ×: of the medians, to none.\n"
    )?;
    let base = figures.along.iter().find(|one| one.along == Along::Nothing);
    let rows = figures.along.iter().flat_map(|one| {
        let row = |name: &str, index: usize| {
            let mut cells = vec![name.to_owned()];
            for (samples, base) in [
                (&one.engine[index], base.map(|base| &base.engine[index])),
                (&one.cold[index], base.map(|base| &base.cold[index])),
            ] {
                cells.extend([both(samples), times(samples, base)]);
            }
            cells
        };
        [with_head(one.along.name(), row("attach", 0)), with_head(String::new(), row("detach", 1))]
    });
    table(text, &["", "", "in process", "×", "cold", "×"], rows)
}

fn times(samples: &Samples, base: Option<&Samples>) -> String {
    base.map_or_else(String::new, |base| format!("{:.2}", ratio(samples.median(), base.median())))
}

fn one_more(text: &mut String, figures: &Figures) -> fmt::Result {
    if figures.one_more.is_empty() {
        return Ok(());
    }
    writeln!(text, "## One more port\n")?;
    writeln!(
        text,
        "A port that is published of a running container, beside others that are, in turns, each in an instance of its \
         own. Median, and 99th percentile; ×: of the medians, to the first.\n"
    )?;
    let base = figures.one_more.first();
    let rows = figures.one_more.iter().map(|one| {
        let [publish, withdraw] = &one.engine;
        vec![
            one.crowd.beside(one.many),
            both(publish),
            times(publish, base.map(|base| &base.engine[0])),
            both(&one.cold),
            times(&one.cold, base.map(|base| &base.cold)),
            both(withdraw),
        ]
    });
    let heads = ["", "`Engine::publish`", "×", "`pontoon publish`", "×", "`Engine::unpublish`"];
    table(text, &heads, rows)
}

fn at_once(text: &mut String, figures: &Figures) -> fmt::Result {
    let Some(wall) = &figures.at_once_publishing else { return Ok(()) };
    writeln!(text, "## {AT_ONCE} at once, with ports\n")?;
    writeln!(
        text,
        "{AT_ONCE} cold commands started together that publish three ports each, where many endpoints are attached: {} \
         from the first start to the last end (median of {}; worst {}). All succeeded, and no address was given out \
         twice.\n",
        time(wall.median()),
        wall.count(),
        time(wall.worst())
    )
}

fn connections(text: &mut String, figures: &Figures) -> fmt::Result {
    let Some(measured) = &figures.connections else { return Ok(()) };
    let many = measured.many;
    writeln!(text, "## Connections\n")?;
    writeln!(
        text,
        "TCP connections that are made from outside by a published port, taken and ended in a second, one after the \
         other, in turns: by Pontoon's maps, and by the chains that Docker lays with iptables-nft (for each port a rule \
         in `nat DOCKER`, one in `filter DOCKER` and one in `nat POSTROUTING`). The port is the one in the middle. \
         Median, and the middle half of the rounds.\n"
    )?;
    let row = |name: &str, [of_few, of_many]: &[Rates; 2]| {
        vec![name.to_owned(), rate(of_few), rate(of_many), share(of_many.over(of_few).median())]
    };
    let mut rows = vec![row("Pontoon", &measured.pontoon)];
    if let Ok(rates) = &measured.iptables {
        rows.push(row("iptables-nft", rates));
    }
    let (few, many) = (format!("{FEW} published"), format!("{many} published"));
    table(text, &["", &few, &many, ""], rows.into_iter())?;
    match &measured.iptables {
        Ok(_) => Ok(()),
        Err(why) => writeln!(text, "Without iptables' chains: {why}.\n"),
    }
}

fn passages(text: &mut String, figures: &Figures) -> fmt::Result {
    if figures.passages.is_empty() {
        return Ok(());
    }
    writeln!(text, "## Streams and requests\n")?;
    writeln!(
        text,
        "One TCP stream, and requests of a byte that is sent back, in turns through three hosts with the same links: \
         Pontoon's; one made by hand without a rule or a table; and one made by hand with the fewest nftables rules \
         that publish a port, which is also the least that has connection tracking. All ends are on one processor. \
         Median, the middle half of the rounds, and of the ratios of each round the median and the middle half.\n"
    )?;
    let rows = figures.passages.iter().map(|passage| {
        vec![
            format!("{}, {}", passage.way.name(), if passage.requests { "requests" } else { "stream" }),
            if passage.calling { "1" } else { "0" }.to_owned(),
            amount(passage, &passage.ours),
            amount(passage, &passage.bare),
            percents(&passage.ours.over(&passage.bare)),
            passage.way.counterpart().to_owned(),
            amount(passage, &passage.least),
            percents(&passage.ours.over(&passage.least)),
        ]
    });
    let heads = [
        "",
        "`bridge-nf-call-iptables`",
        "Pontoon",
        "no rules",
        "Pontoon ÷ no rules",
        "there it is",
        "fewest rules",
        "Pontoon ÷ fewest rules",
    ];
    table(text, &heads, rows)
}

fn amount(passage: &Passage, rates: &Rates) -> String {
    if passage.requests {
        return rate(rates);
    }
    let gigabits = |rate: f64| rate / 1e9;
    let (low, high) = rates.middle_half();
    format!("{:.1} Gbit/s ({:.1}–{:.1})", gigabits(rates.median()), gigabits(low), gigabits(high))
}

fn rate(rates: &Rates) -> String {
    let (low, high) = rates.middle_half();
    format!("{:.0}/s ({low:.0}–{high:.0})", rates.median())
}

fn percents(ratios: &Rates) -> String {
    let (low, high) = ratios.middle_half();
    format!("{} ({:.1}–{:.1})", share(ratios.median()), 100.0 * low, 100.0 * high)
}
