//! The tables of the ledger. Rows are only ever added: triggers refuse to change or remove any.
//! What was read of a server or of the chain is kept as it came, and what follows from it points to it.

/// Version of the tables below, in the file's `user_version`.
pub(super) const VERSION: u32 = 1;

/// Marks the file as a ledger of ours, in the file's `application_id`: "HRTH".
pub(super) const APPLICATION: u32 = 0x4852_5448;

/// Names of all tables, in the order in which rows point from one to another.
pub(super) const NAMES: [&str; 9] =
    ["answers", "readings", "epochs", "standings", "runs", "payouts", "work", "prices", "notes"];

/// Makes every table.
pub(super) const TABLES: &[&str] = &[
    // What a server said. `whose`: the own miners at that time, whose rows are made from it.
    "CREATE TABLE IF NOT EXISTS answers (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, network TEXT NOT NULL, kind TEXT NOT NULL,
        whose TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS answers_of_kind ON answers (network, kind, id)",
    // What was read of the chain.
    "CREATE TABLE IF NOT EXISTS readings (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, network TEXT NOT NULL, what TEXT NOT NULL,
        body TEXT NOT NULL, digest TEXT NOT NULL, UNIQUE (network, what, at, digest))",
    // From answers: what a miner's epoch was scored and what came of it. A network that publishes
    // something else later adds a revision; the highest counts.
    "CREATE TABLE IF NOT EXISTS epochs (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, network TEXT NOT NULL, hotkey TEXT NOT NULL,
        run TEXT NOT NULL, began BIGINT NOT NULL, epoch BIGINT NOT NULL, revision BIGINT NOT NULL,
        raw TEXT NOT NULL, multiplier TEXT, total TEXT NOT NULL, run_total TEXT NOT NULL,
        share TEXT NOT NULL, incentive TEXT, active TEXT, burn TEXT, weight TEXT NOT NULL,
        claims TEXT NOT NULL, period TEXT NOT NULL, loss TEXT, lowest_before TEXT,
        emission BIGINT NOT NULL, minimum BIGINT NOT NULL, fee BIGINT NOT NULL,
        entitlement BIGINT NOT NULL, pending BIGINT NOT NULL, frozen BIGINT NOT NULL,
        unit TEXT NOT NULL, stage BIGINT, backwards BIGINT NOT NULL, partitions BIGINT NOT NULL,
        submitted TEXT NOT NULL, standing TEXT NOT NULL, missing TEXT NOT NULL, paid_to TEXT, answer BIGINT NOT NULL,
        UNIQUE (network, hotkey, run, began, epoch, revision))",
    // From answers: where a miner stands in the rolling window of scores.
    "CREATE TABLE IF NOT EXISTS standings (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, network TEXT NOT NULL, hotkey TEXT NOT NULL,
        run TEXT, raw TEXT NOT NULL, multiplier TEXT, total TEXT NOT NULL, run_total TEXT NOT NULL,
        share TEXT NOT NULL, incentive TEXT, active TEXT, burn TEXT, weight TEXT NOT NULL,
        claims TEXT NOT NULL, answer BIGINT NOT NULL, UNIQUE (answer, hotkey, run))",
    // From answers: what a run gets, as published to all.
    "CREATE TABLE IF NOT EXISTS runs (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, network TEXT NOT NULL, run TEXT NOT NULL,
        burn TEXT NOT NULL, incentive TEXT NOT NULL, miners BIGINT NOT NULL,
        answer BIGINT NOT NULL, UNIQUE (answer, run))",
    // From answers, or from what changed on the chain.
    "CREATE TABLE IF NOT EXISTS payouts (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, network TEXT NOT NULL, name TEXT NOT NULL,
        hotkey TEXT, address TEXT, gross BIGINT NOT NULL, fee BIGINT, net BIGINT NOT NULL,
        unit TEXT NOT NULL, source TEXT NOT NULL, answer BIGINT, reading BIGINT,
        UNIQUE (network, name))",
    // Own measurement: a stretch of a miner's life.
    "CREATE TABLE IF NOT EXISTS work (
        id INTEGER PRIMARY KEY, network TEXT NOT NULL, hotkey TEXT NOT NULL, life TEXT NOT NULL,
        part BIGINT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL, run TEXT, stage BIGINT,
        epoch BIGINT, forwards BIGINT NOT NULL, backwards BIGINT NOT NULL,
        partitions BIGINT NOT NULL, uploads BIGINT NOT NULL, uploads_missed BIGINT NOT NULL,
        weights TEXT NOT NULL, merges BIGINT NOT NULL, merges_missed BIGINT NOT NULL,
        tokens BIGINT NOT NULL, spent TEXT NOT NULL, millijoules BIGINT, energy TEXT NOT NULL,
        validated BIGINT, failed BIGINT, payout_address TEXT, lost TEXT NOT NULL,
        UNIQUE (network, hotkey, life, part))",
    // What something was worth, and who said so.
    "CREATE TABLE IF NOT EXISTS prices (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, of TEXT NOT NULL, currency TEXT NOT NULL,
        price TEXT NOT NULL, source TEXT NOT NULL, UNIQUE (at, of, currency, source))",
    // What is worth knowing of the ledger itself: when it was begun, and after what.
    "CREATE TABLE IF NOT EXISTS notes (
        id INTEGER PRIMARY KEY, at BIGINT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL,
        UNIQUE (at, what, detail))",
];

/// Refuses to change or remove rows, of every table.
pub(super) fn guards() -> impl Iterator<Item = String> {
    NAMES.into_iter().flat_map(|table| {
        [("update", "UPDATE"), ("delete", "DELETE")].map(|(name, deed)| {
            format!(
                "CREATE TRIGGER IF NOT EXISTS {table}_no_{name} BEFORE {deed} ON {table}
                 BEGIN SELECT RAISE(ABORT, 'rows of the ledger are only ever added'); END"
            )
        })
    })
}
