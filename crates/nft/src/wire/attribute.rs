//! Numbers of messages and attributes. Source: `include/uapi/linux/netfilter/nf_tables.h` and `nfnetlink.h`.

/// `NFNL_SUBSYS_NFTABLES`, in the upper byte of a message's type.
pub(super) const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`
pub(super) const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END`
pub(super) const BATCH_END: u16 = 0x11;
/// `NFNL_BATCH_GENID`
pub(super) const BATCH_GENID: u16 = 1;

/// `NFT_MSG_…`
pub(super) mod msg {
    pub(in crate::wire) const NEWTABLE: u16 = 0;
    pub(in crate::wire) const GETTABLE: u16 = 1;
    pub(in crate::wire) const DELTABLE: u16 = 2;
    pub(in crate::wire) const NEWCHAIN: u16 = 3;
    pub(in crate::wire) const GETCHAIN: u16 = 4;
    pub(in crate::wire) const DELCHAIN: u16 = 5;
    pub(in crate::wire) const NEWRULE: u16 = 6;
    pub(in crate::wire) const GETRULE: u16 = 7;
    pub(in crate::wire) const DELRULE: u16 = 8;
    pub(in crate::wire) const NEWSET: u16 = 9;
    pub(in crate::wire) const GETSET: u16 = 10;
    pub(in crate::wire) const DELSET: u16 = 11;
    pub(in crate::wire) const NEWSETELEM: u16 = 12;
    pub(in crate::wire) const GETSETELEM: u16 = 13;
    pub(in crate::wire) const DELSETELEM: u16 = 14;
    pub(in crate::wire) const NEWGEN: u16 = 15;
    pub(in crate::wire) const GETGEN: u16 = 16;
    pub(in crate::wire) const TRACE: u16 = 17;
    pub(in crate::wire) const NEWOBJ: u16 = 18;
    pub(in crate::wire) const DELOBJ: u16 = 20;
    pub(in crate::wire) const NEWFLOWTABLE: u16 = 22;
    pub(in crate::wire) const DELFLOWTABLE: u16 = 24;
    pub(in crate::wire) const DESTROYTABLE: u16 = 26;
    pub(in crate::wire) const DESTROYCHAIN: u16 = 27;
    pub(in crate::wire) const DESTROYSETELEM: u16 = 30;
}

/// `NFTA_TABLE_…`
pub(super) mod table {
    pub(in crate::wire) const NAME: u16 = 1;
    pub(in crate::wire) const FLAGS: u16 = 2;
    pub(in crate::wire) const HANDLE: u16 = 4;
    pub(in crate::wire) const USERDATA: u16 = 6;
}

/// `NFTA_CHAIN_…` and `NFTA_HOOK_…`
pub(super) mod chain {
    pub(in crate::wire) const TABLE: u16 = 1;
    pub(in crate::wire) const HANDLE: u16 = 2;
    pub(in crate::wire) const NAME: u16 = 3;
    pub(in crate::wire) const HOOK: u16 = 4;
    pub(in crate::wire) const POLICY: u16 = 5;
    pub(in crate::wire) const TYPE: u16 = 7;
    pub(in crate::wire) const USERDATA: u16 = 12;
    pub(in crate::wire) const HOOK_NUMBER: u16 = 1;
    pub(in crate::wire) const HOOK_PRIORITY: u16 = 2;
    pub(in crate::wire) const HOOK_DEVICE: u16 = 3;
}

/// `NFTA_TRACE_…` and `NFT_TRACETYPE_…`
pub(super) mod trace {
    pub(in crate::wire) const TABLE: u16 = 1;
    pub(in crate::wire) const CHAIN: u16 = 2;
    pub(in crate::wire) const RULE_HANDLE: u16 = 3;
    pub(in crate::wire) const TYPE: u16 = 4;
    pub(in crate::wire) const VERDICT: u16 = 5;
    pub(in crate::wire) const ID: u16 = 6;
    pub(in crate::wire) const NETWORK_HEADER: u16 = 8;
    pub(in crate::wire) const TRANSPORT_HEADER: u16 = 9;
    pub(in crate::wire) const IIF: u16 = 10;
    pub(in crate::wire) const OIF: u16 = 12;
    pub(in crate::wire) const POLICY: u16 = 16;

    pub(in crate::wire) const BY_POLICY: u32 = 1;
    pub(in crate::wire) const BY_RETURN: u32 = 2;
    pub(in crate::wire) const BY_RULE: u32 = 3;
}

/// `NFTA_RULE_…`
pub(super) mod rule {
    pub(in crate::wire) const TABLE: u16 = 1;
    pub(in crate::wire) const CHAIN: u16 = 2;
    pub(in crate::wire) const HANDLE: u16 = 3;
    pub(in crate::wire) const EXPRESSIONS: u16 = 4;
    pub(in crate::wire) const USERDATA: u16 = 7;
}

/// `NFTA_SET_…`, `NFTA_SET_DESC_…`, `NFTA_SET_FIELD_…` and `enum nft_set_flags`
pub(super) mod set {
    pub(in crate::wire) const TABLE: u16 = 1;
    pub(in crate::wire) const NAME: u16 = 2;
    pub(in crate::wire) const FLAGS: u16 = 3;
    pub(in crate::wire) const KEY_TYPE: u16 = 4;
    pub(in crate::wire) const KEY_LEN: u16 = 5;
    pub(in crate::wire) const DATA_TYPE: u16 = 6;
    pub(in crate::wire) const DATA_LEN: u16 = 7;
    pub(in crate::wire) const DESC: u16 = 9;
    pub(in crate::wire) const ID: u16 = 10;
    pub(in crate::wire) const TIMEOUT: u16 = 11;
    pub(in crate::wire) const USERDATA: u16 = 13;
    pub(in crate::wire) const HANDLE: u16 = 16;
    pub(in crate::wire) const EXPR: u16 = 17;
    pub(in crate::wire) const EXPRESSIONS: u16 = 18;
    pub(in crate::wire) const DESC_SIZE: u16 = 1;
    pub(in crate::wire) const DESC_CONCAT: u16 = 2;
    pub(in crate::wire) const FIELD_LEN: u16 = 1;

    pub(in crate::wire) const ANONYMOUS: u32 = 0x1;
    pub(in crate::wire) const CONSTANT: u32 = 0x2;
    pub(in crate::wire) const INTERVAL: u32 = 0x4;
    pub(in crate::wire) const MAP: u32 = 0x8;
    pub(in crate::wire) const HAS_TIMEOUT: u32 = 0x10;
    pub(in crate::wire) const EVAL: u32 = 0x20;
    pub(in crate::wire) const CONCAT: u32 = 0x80;

    /// `NFT_DATA_VERDICT`: the data type of a map to verdicts.
    pub(in crate::wire) const VERDICT: u32 = 0xffff_ff00;
}

/// `NFTA_SET_ELEM_…` and `NFTA_SET_ELEM_LIST_…`
pub(super) mod element {
    pub(in crate::wire) const LIST_TABLE: u16 = 1;
    pub(in crate::wire) const LIST_SET: u16 = 2;
    pub(in crate::wire) const LIST_ELEMENTS: u16 = 3;
    pub(in crate::wire) const LIST_SET_ID: u16 = 4;
    pub(in crate::wire) const KEY: u16 = 1;
    pub(in crate::wire) const DATA: u16 = 2;
    pub(in crate::wire) const FLAGS: u16 = 3;
    pub(in crate::wire) const TIMEOUT: u16 = 4;
    pub(in crate::wire) const EXPIRATION: u16 = 5;
    pub(in crate::wire) const USERDATA: u16 = 6;
    pub(in crate::wire) const EXPR: u16 = 7;
    pub(in crate::wire) const KEY_END: u16 = 10;
    pub(in crate::wire) const EXPRESSIONS: u16 = 11;

    pub(in crate::wire) const INTERVAL_END: u32 = 1;
}

/// `NFTA_LIST_ELEM`
pub(super) const LIST_ELEM: u16 = 1;

/// `NFTA_DATA_…`, `NFTA_VERDICT_…`, `NFTA_EXPR_…`
pub(super) mod data {
    pub(in crate::wire) const VALUE: u16 = 1;
    pub(in crate::wire) const VERDICT: u16 = 2;
    pub(in crate::wire) const VERDICT_CODE: u16 = 1;
    pub(in crate::wire) const VERDICT_CHAIN: u16 = 2;
    pub(in crate::wire) const EXPR_NAME: u16 = 1;
    pub(in crate::wire) const EXPR_DATA: u16 = 2;
}

/// `NFTA_GEN_ID`
pub(super) const GEN_ID: u16 = 1;
/// `NFTA_GEN_PROC_PID`
pub(super) const GEN_PROC_PID: u16 = 2;
/// `NFTA_GEN_PROC_NAME`
pub(super) const GEN_PROC_NAME: u16 = 3;
