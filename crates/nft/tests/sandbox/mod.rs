//! A throw-away network namespace for a test, and an nf_tables socket in it.

pub(crate) mod compare;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use pontoon_netlink::wire::{Ack, Messages, NLMSG_DONE, NLMSG_ERROR};
use pontoon_nft::ruleset::Ruleset;
use pontoon_nft::syntax;
use pontoon_nft::wire::{Answer, Question, encode};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

const INSIDE: &str = "PONTOON_NFT_TEST_INSIDE";

/// Runs `body` of the test `name` in a user and network namespace of its own.
pub(crate) fn sandboxed(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let program = std::env::current_exe().expect("a test knows its own program");
    let output = Command::new("unshare")
        .args(["-Urn"])
        .arg(program)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("this test needs `unshare` of util-linux");
    assert!(
        output.status.success(),
        "test `{name}` failed in `unshare -Urn` (which needs user namespaces: /proc/sys/user/max_user_namespaces):\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Runs nft(8) with `input` and gives back what it printed.
pub(crate) fn nft(args: &[&str], input: &str) -> String {
    let mut child = Command::new("nft")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test needs `nft`: install the package nftables");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("nft reads its input");
    let output = child.wait_with_output().expect("nft ends");
    assert!(
        output.status.success(),
        "nft {args:?} failed on:\n{input}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("nft prints UTF-8")
}

/// An nf_tables socket.
pub(crate) struct Kernel {
    socket: OwnedFd,
}

impl Kernel {
    pub(crate) fn open() -> Self {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::NETFILTER),
        )
        .expect("this test needs netfilter netlink sockets (CONFIG_NETFILTER_NETLINK)");
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(5)))
            .expect("a timeout");
        Self { socket }
    }

    fn send(&self, bytes: &[u8]) {
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, bytes, SendFlags::empty(), &kernel)
            .expect("the kernel takes a batch");
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 18];
        let (len, _) =
            rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty()).expect("the kernel answers");
        buffer.truncate(len);
        buffer
    }

    /// Applies a transaction, or says which command failed with which errno.
    pub(crate) fn try_apply(&self, commands: &[syntax::Command]) -> Result<(), (usize, i32)> {
        let transaction = encode(commands, 100).expect("the commands can be encoded");
        self.send(transaction.bytes());
        let mut left = transaction.acks();
        let mut result = Ok(());
        while left > 0 {
            for ack in Messages::new(&self.receive()).filter_map(|message| Ack::parse(&message)) {
                let index = transaction.command_of(ack.seq).expect("an answer to one of the messages");
                if ack.errno != 0 && result.is_ok() {
                    result = Err((index, ack.errno));
                }
                left -= 1;
            }
        }
        result
    }

    pub(crate) fn apply(&self, commands: &[syntax::Command]) {
        if let Err((index, errno)) = self.try_apply(commands) {
            panic!("errno {errno} for `{}`", commands[index]);
        }
    }

    /// The answers to a question, and the messages as they came.
    pub(crate) fn ask(&self, question: &Question<'_>) -> Result<Vec<(Answer, Vec<u8>)>, i32> {
        self.send(question.to_batch(1).bytes());
        let mut answers = Vec::new();
        loop {
            for message in Messages::new(&self.receive()) {
                match message.kind {
                    NLMSG_DONE => return Ok(answers),
                    NLMSG_ERROR => match Ack::parse(&message).expect("an acknowledgement").errno {
                        0 => return Ok(answers),
                        errno => return Err(errno),
                    },
                    _ => {
                        let answer = Answer::read(&message).expect("an answer of a known kind");
                        answers.push((answer, message.payload.to_vec()));
                    }
                }
            }
        }
    }

    fn answers(&self, question: &Question<'_>) -> Vec<Answer> {
        self.ask(question).expect("no error").into_iter().map(|(answer, _)| answer).collect()
    }

    /// The whole ruleset.
    pub(crate) fn ruleset(&self) -> Ruleset {
        let mut answers = self.answers(&Question::Tables(None));
        answers.extend(self.answers(&Question::Chains(None)));
        answers.extend(self.answers(&Question::AllRules(None)));
        let sets = self.answers(&Question::AllSets(None));
        for set in &sets {
            if let Answer::Set(entry) = set {
                answers.extend(self.answers(&Question::Elements(&entry.table, &entry.set.name)));
            }
        }
        answers.extend(sets);
        Ruleset::from_answers(answers)
    }
}
