#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/config/settings.hpp>

#include <memory>
#include <string>
#include <vector>

/// MongoDB behind the common interface.
///
/// How values are stored. Every choice keeps what the client sent, exactly:
///
/// | template type | stored as |
/// |---|---|
/// | bool, double, string, enum | boolean, double, string |
/// | int8, int16, int32, uint8, uint16 | int32 |
/// | int64, uint32 | int64 |
/// | uint64 | int64, above its maximum decimal128; the server compares them as numbers |
/// | decimal(p,s) | decimal128 with exponent -s; p up to 34, more is refused at load |
/// | uuid | binary, subtype 4 |
/// | bytes | binary, subtype 0 |
/// | date, time | string, `2026-01-31`, `23:59:59.000001` (their order is the order of time) |
/// | datetime | int64, microseconds since 1970; with `stored = "date"`, and in an index
/// with `expire_after`, a BSON date, and there a value with a part below the millisecond is refused
/// (`generated = "now"`, `soft_delete`: cut) |
/// | string with `stored = "object_id"` | ObjectId, of 24 hexadecimal digits in lower case |
/// | json, document | nested documents, arrays and scalars; integers int64 (above: decimal128),
/// other numbers double where that is the same number, else decimal128, else refused |
///
/// Reading also takes what other programs store: any numeric type whose value fits, BSON dates for
/// date and datetime, strings for uuid, ObjectIds for string (24 hexadecimal digits), missing
/// fields as null. A stored value that does not fit the template's type fails its operation:
/// INTERNAL, with the field. Conditions compare with the stored form above only.
///
/// `_id` is the field whose `column` says so; a document of a template without one gets an
/// ObjectId. The key needs a unique index. `_beds` is the adapter's own (the ring, see below) and
/// is in no result; a document with a member of that name is refused, and so is one with a NUL in a
/// member's name. All other names, `$` and `.` in them too, are data.
///
/// What is not atomic here. One document changes wholly or not at all; there are no transactions,
/// so `atomic` envelopes are refused, and writes are applied when `run` returns, whatever happens
/// to the unit later: `commit` always says applied, `rollback` undoes nothing. An insert of several
/// rows stops at the first that fails: its outcome is then an error with effect `applied`. An
/// update by `where` that fails in the middle has effect `unknown`.
///
/// What happens once. With `settings.inbox`, inserts and updates and deletes by key: the collection
/// `beds_inbox` holds what was begun and how it ended, and each document that is written keeps the
/// tokens of its last 16 writes in `_beds` (libbeds/doc/decisions/0011). Where both together cannot
/// tell what became of a write that was begun and not ended, its outcome is BACKEND_CONFLICT with
/// effect `unknown`. Updates and deletes by `where` and pipelines that write say `at_least_once`.
/// The account needs find, insert, update and remove on `beds_inbox` and, for deletes, the right to
/// update; the installed `sql/mongodb/inbox.js` makes the index that ends the window. Without
/// `settings.inbox`, and for operations without an identity, every write says `at_least_once`.
///
/// What shares a command, as far as `settings.coalesce` lets it: fetches, inserts, updates and
/// deletes of one shape, and finds and counts that differ in the value of one equality.
///
/// A connection that breaks: as long as nothing of a group can have reached the server, `run` says
/// `broken` (past the deadline `expired`); groups that ran before stay as they are. Otherwise it
/// says `done`, the session is not usable, and the outcomes tell which operations are `unknown`
/// (BACKEND_UNAVAILABLE, or DEADLINE_EXCEEDED) and which were not sent (effect none).
///
/// Every call ends by its deadline and 300 ms: the adapter brings its own stream, which bounds each
/// read, write, connect and TLS handshake by the deadline of the unit (name look-up excepted).
namespace beds::adapters {

/// Who calls `mongoc_init` and `mongoc_cleanup`. They work once per process.
enum class driver_init {
    /// The first adapter of the process initialises the driver and turns its log off; it is cleaned
    /// up when the process ends.
    by_beds,
    /// The host program did, and does the cleaning up after the last adapter is gone.
    by_host,
};

/// An adapter for one MongoDB database. Opens no connection. Throws core::error:
/// `invalid_configuration` for a connection string that cannot be read, that switches the
/// verification of certificates off (`tlsInsecure`, `tlsAllowInvalid…`) or asks for writes without
/// acknowledgement (`w=0`); `unsupported` for TLS with a driver that was built without it.
std::shared_ptr<adapter> make_mongodb(std::string connection_name,
                                      const config::rec_service_settings& settings,
                                      driver_init init = driver_init::by_beds);

/// The commands that make the indexes which `adapter::compare` looks for: a unique one on the key,
/// unless that is `_id`, and those of the template. Where there are none, what makes the
/// collection. JSON for `db.runCommand`; a value that JSON has not stands in it as Extended JSON.
/// Run again they change nothing.
std::vector<std::string> mongodb_index_commands(const templates::template_def& of);

} // namespace beds::adapters
