-- Accounts: operators outside any clinic, second factors, bounded guessing, links, API tokens.
-- Sessions are made anew, so people sign in again after this migration.

DROP TABLE sessions;

CREATE TABLE users_next (
  user_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT REFERENCES clinics (clinic_id), -- none: an operator, who belongs to no clinic
  role TEXT NOT NULL CHECK (role IN ('provider', 'billing', 'admin', 'operator')),
  email_hash TEXT NOT NULL UNIQUE,
  profile_sealed TEXT NOT NULL, -- {email, name}
  password_hash TEXT NOT NULL,
  locale TEXT NOT NULL DEFAULT 'en' CHECK (locale IN ('en', 'fr')),
  time_zone TEXT NOT NULL DEFAULT 'America/Toronto',
  disabled_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((role = 'operator') = (clinic_id IS NULL))
) WITHOUT ROWID;

INSERT INTO users_next
  (user_id, clinic_id, role, email_hash, profile_sealed, password_hash, disabled_at, created_at, updated_at)
SELECT user_id, clinic_id, role, email_hash, profile_sealed, password_hash, disabled_at, created_at, updated_at FROM users;

DROP TABLE users;
ALTER TABLE users_next RENAME TO users;
CREATE INDEX users_clinic ON users (clinic_id, created_at, user_id);

-- Only the hash of a session's id is kept: this table read by a thief opens no session. `session_id` is its name in lists.
CREATE TABLE sessions (
  session_hash TEXT NOT NULL PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (user_id),
  second_factor INTEGER NOT NULL CHECK (second_factor IN (0, 1)), -- whether it was shown at sign-in
  device TEXT NOT NULL, -- of a closed list, never the header itself
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_last_seen ON sessions (last_seen_at);
CREATE INDEX sessions_created ON sessions (created_at);

-- The password was right and the second factor is still to come.
CREATE TABLE pending_sign_ins (
  pending_hash TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (user_id),
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX pending_sign_ins_created ON pending_sign_ins (created_at);

-- A guess is written down before it is looked at, so that guesses made at the same moment are counted too. Both hashes are
-- keyed; an address without an account has rows like any other.
CREATE TABLE sign_in_attempts (
  attempt_id INTEGER PRIMARY KEY,
  account_hash TEXT NOT NULL,
  address_hash TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'failed')),
  at INTEGER NOT NULL
);

CREATE INDEX sign_in_attempts_account ON sign_in_attempts (account_hash, at);
CREATE INDEX sign_in_attempts_address ON sign_in_attempts (address_hash, at);
CREATE INDEX sign_in_attempts_at ON sign_in_attempts (at);

-- TOTP (RFC 6238). A code is good for one use: the step of the last one taken only rises.
CREATE TABLE second_factors (
  user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id),
  secret_sealed TEXT NOT NULL,
  enabled_at INTEGER, -- none: being set up
  last_step INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE backup_codes (
  user_id TEXT NOT NULL REFERENCES users (user_id),
  code_hash TEXT NOT NULL,
  used_at INTEGER,
  PRIMARY KEY (user_id, code_hash)
) WITHOUT ROWID;

CREATE TABLE invitations (
  invitation_id TEXT NOT NULL PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  clinic_id TEXT REFERENCES clinics (clinic_id),
  role TEXT NOT NULL,
  email_hash TEXT NOT NULL,
  profile_sealed TEXT NOT NULL, -- {email, name}
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  CHECK ((role = 'operator') = (clinic_id IS NULL))
) WITHOUT ROWID;

CREATE INDEX invitations_clinic ON invitations (clinic_id, created_at, invitation_id);
CREATE INDEX invitations_expires ON invitations (expires_at);

-- At most one for each user: a new link makes the one before it void.
CREATE TABLE password_resets (
  user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (user_id),
  token_hash TEXT NOT NULL UNIQUE,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX password_resets_expires ON password_resets (expires_at);

-- Tokens of integrations. `window_*` count the permits handed out in the minute that began at window_starts_at.
CREATE TABLE api_tokens (
  token_id TEXT NOT NULL PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  name TEXT NOT NULL,
  can_read INTEGER NOT NULL CHECK (can_read IN (0, 1)),
  can_write INTEGER NOT NULL CHECK (can_write IN (0, 1)),
  created_by TEXT NOT NULL REFERENCES users (user_id),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  last_used_at INTEGER,
  revoked_at INTEGER,
  window_starts_at INTEGER NOT NULL DEFAULT 0,
  window_granted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX api_tokens_clinic ON api_tokens (clinic_id, created_at, token_id);
CREATE INDEX api_tokens_expires ON api_tokens (expires_at);
