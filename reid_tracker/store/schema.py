"""The tables of the store, in the SQL that SQLite and PostgreSQL share; each brings its types in the braces."""

SCHEMA_VERSION = 1
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sightings (tracklet {integer} PRIMARY KEY, identity {integer} NOT NULL, "
    "camera TEXT NOT NULL, started {real} NOT NULL, ended {real} NOT NULL, mean {vector})",
    "CREATE INDEX IF NOT EXISTS sightings_identity ON sightings (identity, started)",
    "CREATE INDEX IF NOT EXISTS sightings_ended ON sightings (ended)",
    "CREATE TABLE IF NOT EXISTS looks (tracklet {integer} PRIMARY KEY REFERENCES sightings ON DELETE CASCADE, "
    "layout TEXT NOT NULL, quality {bytes} NOT NULL, vectors {bytes} NOT NULL, stripes {bytes} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS crops (number {number}, tracklet {integer} NOT NULL REFERENCES sightings "
    "ON DELETE CASCADE, time {real} NOT NULL, quality {real} NOT NULL, jpeg {bytes} NOT NULL)",
    "CREATE INDEX IF NOT EXISTS crops_tracklet ON crops (tracklet)",
    "CREATE TABLE IF NOT EXISTS corrections (number {number}, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS events (event_id {integer} PRIMARY KEY, time {real} NOT NULL, "
    "identity {integer} NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS events_identity ON events (identity)",
    "CREATE INDEX IF NOT EXISTS events_time ON events (time)",
    "CREATE TABLE IF NOT EXISTS concerned (identity {integer} NOT NULL, event_id {integer} NOT NULL "
    "REFERENCES events ON DELETE CASCADE, PRIMARY KEY (identity, event_id)) {by_key}",
    "CREATE TABLE IF NOT EXISTS audit (number {number}, time {real} NOT NULL, who TEXT NOT NULL, "
    "action TEXT NOT NULL, about TEXT NOT NULL)",
)
