//! The tables of the orchestrator's books. Plain SQL that SQLite and PostgreSQL both understand, with
//! a version, so that a newer program can tell an older file from its own.

/// Version of the tables below.
pub(super) const VERSION: i64 = 4;

/// Makes every table that is missing.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS runs (
        run_id TEXT PRIMARY KEY, seed BIGINT NOT NULL, stages BIGINT NOT NULL,
        num_partitions BIGINT NOT NULL, model TEXT NOT NULL, started_unix DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE IF NOT EXISTS stages (
        stage BIGINT PRIMARY KEY, phase TEXT NOT NULL, epoch BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS miners (
        hotkey TEXT PRIMARY KEY, stage BIGINT NOT NULL, place BIGINT NOT NULL,
        node_id TEXT NOT NULL, live BIGINT NOT NULL, score BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS activations (
        id TEXT PRIMARY KEY, epoch BIGINT NOT NULL, sample TEXT NOT NULL, head TEXT NOT NULL,
        state TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS passes (
        activation TEXT NOT NULL, stage BIGINT NOT NULL, direction TEXT NOT NULL,
        hotkey TEXT NOT NULL, input_hash TEXT, output_hash TEXT,
        PRIMARY KEY (activation, stage, direction))",
    "CREATE TABLE IF NOT EXISTS losses (
        activation TEXT PRIMARY KEY, epoch BIGINT NOT NULL, hotkey TEXT NOT NULL,
        loss DOUBLE PRECISION NOT NULL, tokens BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS uploads (
        object TEXT PRIMARY KEY, hotkey TEXT NOT NULL, kind TEXT NOT NULL, epoch BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS submissions (
        epoch BIGINT NOT NULL, stage BIGINT NOT NULL, hotkey TEXT NOT NULL, object TEXT NOT NULL,
        factor BIGINT NOT NULL, PRIMARY KEY (epoch, stage, hotkey))",
    "CREATE TABLE IF NOT EXISTS copies (
        epoch BIGINT NOT NULL, stage BIGINT NOT NULL, chunk BIGINT NOT NULL, hotkey TEXT NOT NULL,
        object TEXT, PRIMARY KEY (epoch, stage, chunk, hotkey))",
    "CREATE TABLE IF NOT EXISTS merged (
        stage BIGINT NOT NULL, chunk BIGINT NOT NULL, epoch BIGINT NOT NULL, hotkey TEXT,
        object TEXT NOT NULL, PRIMARY KEY (stage, chunk))",
    "CREATE TABLE IF NOT EXISTS scores (
        epoch BIGINT NOT NULL, hotkey TEXT NOT NULL, backwards BIGINT NOT NULL,
        partitions BIGINT NOT NULL, PRIMARY KEY (epoch, hotkey))",
    "CREATE TABLE IF NOT EXISTS pruned (object TEXT PRIMARY KEY)",
    // Since version 2.
    "CREATE TABLE IF NOT EXISTS tickets (
        id TEXT PRIMARY KEY, hotkey TEXT NOT NULL, place BIGINT NOT NULL, status TEXT NOT NULL,
        since_unix DOUBLE PRECISION NOT NULL, reserved_until_unix DOUBLE PRECISION,
        request TEXT NOT NULL, mismatch BIGINT NOT NULL, detail TEXT, error TEXT)",
    "CREATE TABLE IF NOT EXISTS payouts (hotkey TEXT PRIMARY KEY, coldkey TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS telemetry (
        hotkey TEXT PRIMARY KEY, at_unix DOUBLE PRECISION NOT NULL, batches BIGINT NOT NULL,
        metrics BIGINT NOT NULL, samples BIGINT NOT NULL, newest TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS optimizer_states (
        stage BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, hotkey TEXT NOT NULL, object TEXT NOT NULL)",
    // Since version 3: what rows that are gone came to. One row.
    "CREATE TABLE IF NOT EXISTS totals (
        id BIGINT PRIMARY KEY, handed_out BIGINT NOT NULL, tokens BIGINT NOT NULL)",
    // Since version 4: what epochs were paid, as it is published.
    "CREATE TABLE IF NOT EXISTS paid (epoch BIGINT PRIMARY KEY, record TEXT NOT NULL)",
];
