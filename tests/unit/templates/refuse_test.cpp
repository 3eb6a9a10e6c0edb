#include "support/catch.hpp"

#include <beds/templates/registry.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using namespace beds;

namespace {

/// The line that the mark `#!` stands on is where the problem must be reported; without one,
/// line 1.
constexpr std::string_view mark = "#!";

/// One file with one mistake: the base with `from` replaced by `to`, or `to` appended when there is
/// no `from`.
struct mistake {
    std::string_view from;
    std::string_view to;
    std::string_view key;
    std::string_view message;
};

constexpr std::string_view rel_base = R"toml(# a table of MariaDB
[template]
name   = "accounts"
store  = "rel"
object = "ms_accounts"
key    = ["id"]

[fields]
id      = { type = "int64", generated = "database" }
owner   = { type = "uuid", required = true }
email   = { type = "string" }
balance = { type = "decimal(18,2)" }
status  = { type = "enum", values = ["open", "closed"] }
created = { type = "datetime" }
extra   = { type = "json" }
ratio   = { type = "double" }
)toml";

constexpr std::string_view rec_base = R"toml(# a collection of MongoDB
[template]
name   = "things"
store  = "rec"
object = "things"
key    = ["id"]

[fields]
id      = { type = "string", column = "_id" }
country = { type = "string" }
seen    = { type = "datetime" }
other   = { type = "datetime" }
ref     = { type = "string", stored = "object_id" }
)toml";

const std::vector<mistake> rel_mistakes{
    // The file as a whole
    {"[fields]", "[fields #!", "", "not TOML: "},
    {"", "[fieldz] #!", "fieldz", "unknown key; did you mean 'fields'?"},
    {"", "[zzz] #!", "zzz",
     "unknown key; known here: template, fields, index, protect, read, write, calls, limits, "
     "features"},
    {"", "[[limits]] #!", "limits", "expected a table, found an array"},

    // [template]
    {"name   = \"accounts\"", "", "template.name", "missing; expected a name of lower-case"},
    {"name   = \"accounts\"", "name = 7 #!", "template.name", "expected text, found an integer"},
    {"\"accounts\"", "\"Accounts\" #!", "template.name",
     "expected a name of lower-case letters, digits and '_' that begins with a letter, at most 64 "
     "characters, found 'Accounts'"},
    {"\"accounts\"", "\"1st\" #!", "template.name", "found '1st'"},
    {"\"accounts\"", "\"\" #!", "template.name", "found ''"},
    {"\"accounts\"", "\"a2345678901234567890123456789012345678901234567890123456789012345\" #!",
     "template.name", "at most 64"},
    {"\"accounts\"", "\"catalog\" #!", "template.name", "'catalog' is reserved"},
    {"\"accounts\"", "\"rel\" #!", "template.name", "'rel' is reserved"},
    {"\"accounts\"", "\"warehouse\" #!", "template.name", "'warehouse' is reserved"},
    {"store  =", "sotre = \"rel\" #!\nstore =", "template.sotre",
     "unknown key; did you mean 'store'?"},
    {"\"rel\"", "\"sql\" #!", "template.store",
     "expected \"rel\" (MariaDB/MySQL) or \"rec\" (MongoDB), found 'sql'"},
    {"[fields]", "version = 0 #!\n[fields]", "template.version",
     "expected an integer from 1 to 2147483647, found 0"},
    {"[fields]", "version = \"3\" #!\n[fields]", "template.version",
     "expected an integer, found text"},
    {"[fields]", "service = \"app_sever\" #!\n[fields]", "template.service",
     "the configuration has no broker service 'app_sever'; did you mean 'app_server'?"},
    {"[fields]", "connection = \"warehose\" #!\n[fields]", "template.connection",
     "the configuration has no database service 'warehose'; did you mean 'warehouse'?"},
    {"[fields]", "connection = \"rec\" #!\n[fields]", "template.connection",
     "connection 'rec' is a 'rec' database, and the template's store is 'rel'"},
    {"\"ms_accounts\"", "\"accounts\" #!", "template.object",
     "the configuration's wbid asks for a name that begins with 'ms_', found 'accounts'"},
    {"\"ms_accounts\"", "\"ms_accounts` #!\"", "template.object",
     "expected letters, digits, '_' and '$'"},
    {"\"ms_accounts\"", "\"ms_a; drop table x\" #!", "template.object", "expected letters"},
    {"\"ms_accounts\"", "\"a.b.ms_c\" #!", "template.object", "expected letters"},
    {"object = \"ms_accounts\"", "", "template.object", "missing; expected the table or"},
    {"[\"id\"]", "[] #!", "template.key", "expected 1 to 16 field names, found 0"},
    {"key    = [\"id\"]", "", "template.key", "missing; expected an array of field names"},
    {"[\"id\"]", "\"id\" #!", "template.key", "expected an array, found text"},
    {"[\"id\"]", "[\"idd\"] #!", "template.key[0]",
     "no field 'idd' in [fields]; did you mean 'id'?"},
    {"[\"id\"]", "[\"id\", \"id\"] #!", "template.key[1]", "'id' is there twice"},
    {"[\"id\"]", "[\"id\", 3] #!", "template.key[1]", "expected text, found an integer"},
    {"[\"id\"]", "[\"id\", \"ratio\"] #!", "template.key",
     "field 'ratio' of type double cannot be in a key"},
    {"[\"id\"]", "[\"id\", \"extra\"] #!", "template.key",
     "field 'extra' of type json cannot be in a key"},
    {"[fields]", "tla = \"acct\" #!\n[fields]", "template.tla",
     "expected three lower-case letters or digits, found 'acct'"},
    {"[fields]", "closed = \"yes\" #!\n[fields]", "template.closed",
     "expected true or false, found text"},
    {"[fields]", "order_by = \"di\" #!\n[fields]", "template.order_by",
     "no field 'di' in [fields]; did you mean 'id'?"},
    {"[fields]", "order_by = \"owner\" #!\n[fields]", "template.order_by",
     "'owner' is not in the key: a write by key would not tell it"},
    {"[fields]", "order_by = \"id\" #!\n[fields]", "template.order_by",
     "'id' is generated: who inserts would not know it"},
    {"key    = [\"id\"]\n", "key    = [\"id\", \"created\"]\norder_by = \"created\" #!\n",
     "template.order_by",
     "expected a field that is a whole number, string, uuid or date; 'created' is datetime"},
    {"key    = [\"id\"]\n",
     "key    = [\"id\", \"owner\"]\norder_by = \"owner\"\n[calls.pay]\nclass = \"bulk\" #!\n"
     "procedure = \"sp\"\n",
     "calls.pay.class", "bulk calls keep no order"},
    {"key    = [\"id\"]\n",
     "key    = [\"id\", \"owner\"]\norder_by = \"owner\"\n[calls.pay]\nclass = \"write\"\n"
     "procedure = \"sp\"\nargs = [[\"owner\", \"string\"]] #!\n",
     "calls.pay.args", "the template has order_by: expected the argument 'owner' of type uuid"},

    // [fields]
    {"owner   =", "Owner = { type = \"uuid\" } #!\nowner   =", "fields.Owner",
     "expected a name of lower-case"},
    {"owner   =", "\"a.b\" = { type = \"uuid\" } #!\nowner   =", "fields.'a.b'",
     "expected a name of lower-case"},
    {"{ type = \"uuid\", required = true }", "\"uuid\" #!", "fields.owner",
     "expected a table like { type = \"int64\" }, found text"},
    {"{ type = \"uuid\", required = true }", "{ required = true } #!", "fields.owner.type",
     "missing; expected a type, for example \"int64\""},
    {"\"uuid\"", "\"uid\"", "fields.owner.type", "unknown type 'uid'; did you mean 'uuid'?"},
    {"\"uuid\"", "\"complex\"", "fields.owner.type", "unknown type 'complex'; known: bool, int8"},
    {"\"uuid\"", "\"varchar\"", "fields.owner.type",
     "unknown type 'varchar'; did you mean 'string'?"},
    {"\"uuid\"", "\"VARCHAR(40)\"", "fields.owner.type",
     "unknown type 'VARCHAR(40)'; did you mean 'string'?"},
    {"\"uuid\"", "\"text\"", "fields.owner.type", "did you mean 'string'?"},
    {"\"uuid\"", "\"int\"", "fields.owner.type",
     "unknown type 'int'; did you mean 'int32' or 'int64'?"},
    {"\"uuid\"", "\"integer\"", "fields.owner.type", "did you mean 'int32' or 'int64'?"},
    {"\"uuid\"", "\"boolean\"", "fields.owner.type", "did you mean 'bool'?"},
    {"\"uuid\"", "\"float\"", "fields.owner.type", "did you mean 'double'?"},
    {"\"uuid\"", "\"timestamp\"", "fields.owner.type", "did you mean 'datetime'?"},
    {"\"uuid\"", "\"blob\"", "fields.owner.type", "did you mean 'bytes'?"},
    {"\"uuid\"", "\"binary\"", "fields.owner.type", "did you mean 'bytes'?"},
    {"decimal(18,2)", "decimal(18,19)", "fields.balance.type",
     "expected decimal(precision,scale) with precision 1 to 38 and scale 0 to precision, found "
     "'decimal(18,19)'"},
    {"decimal(18,2)", "decimal(39,2)", "fields.balance.type", "precision 1 to 38"},
    {"decimal(18,2)", "decimal", "fields.balance.type", "precision 1 to 38"},
    {"\"uuid\", required", "\"uuid\", requierd", "fields.owner.requierd",
     "unknown key; did you mean 'required'?"},
    {"required = true", "required = 1", "fields.owner.required",
     "expected true or false, found an integer"},
    {"required = true", "required = true, default = \"00000000-0000-0000-0000-000000000000\"",
     "fields.owner.required", "a required field has no default"},
    {"required = true", "required = true, generated = \"uuid\"", "fields.owner.required",
     "a generated field is not required"},
    {"\"string\"", "\"string\", max = 0", "fields.email.max",
     "expected an integer from 1 to 16777216, found 0"},
    {"\"uuid\", required", "\"uuid\", max = 3, required", "fields.owner.max",
     "only string and bytes have a max; this field is uuid"},
    {"\"string\"", "\"string\", collation = \"utf8mb4 bin\"", "fields.email.collation",
     "expected letters, digits and '_'"},
    {"\"string\"", "\"string\", stored = \"object_id\"", "fields.email.stored",
     "only collections ('rec') have values in several forms"},
    {"\"uuid\", required", "\"uuid\", collation = \"x\", required", "fields.owner.collation",
     "only string and enum have a collation; this field is uuid"},
    {"\"string\"", "\"string\", values = [\"a\"]", "fields.email.values",
     "only enum has values; this field is string"},
    {", values = [\"open\", \"closed\"]", "", "fields.status.values",
     "missing; an enum lists what it may be"},
    {"[\"open\", \"closed\"]", "[]", "fields.status.values", "expected at least one value"},
    {"[\"open\", \"closed\"]", "[\"a\", \"a\"]", "fields.status.values[1]", "'a' is there twice"},
    {"[\"open\", \"closed\"]", "[\"a\", \"\"]", "fields.status.values[1]",
     "expected text, found an empty one"},
    {"[\"open\", \"closed\"]", "[\"a\", 2]", "fields.status.values[1]",
     "expected text, found an integer"},
    {"[\"open\", \"closed\"] }", "[\"open\", \"closed\"], default = \"frozen\" }",
     "fields.status.default", "expected"},
    {"decimal(18,2)\"", "decimal(18,2)\", default = \"0.001\"", "fields.balance.default",
     "expected"},
    {"decimal(18,2)\"", "decimal(18,2)\", default = 0.10", "fields.balance.default",
     "a decimal is written in quotes, like \"0.00\""},
    {"\"json\"", "\"json\", default = \"{}\"", "fields.extra.default",
     "defaults of json fields are not available in this version"},
    {"\"double\"", "\"double\", default = nan", "fields.ratio.default",
     "expected a value of type double, found"},
    {"\"string\"", "\"string\", max = 3, default = \"abcd\"", "fields.email.default", "expected"},
    {"\"string\"", "\"string\", default = [1]", "fields.email.default",
     "expected a value of type string, found an array"},
    {"\"datetime\"", "\"datetime\", generated = \"now\", default = 2026-01-01T00:00:00Z",
     "fields.created.default", "a generated field has no default"},
    {"\"datetime\"", "\"datetime\", generated = \"nwo\"", "fields.created.generated",
     "expected \"database\", \"now\" or \"uuid\", found 'nwo'; did you mean 'now'?"},
    {"\"datetime\"", "\"datetime\", generated = \"uuid\"", "fields.created.generated",
     "\"uuid\" is for uuid; this field is datetime"},
    {"\"string\"", "\"string\", generated = \"now\"", "fields.email.generated",
     "\"now\" is for datetime; this field is string"},
    {"\"string\"", "\"string\", generated = \"database\"", "fields.email.generated",
     "the database makes integers only; this field is string"},
    {"\"double\"", "\"int32\", generated = \"database\"", "fields.ratio.generated",
     "\"database\" is for a field of the key"},
    {"\"int64\", generated = \"database\"", "\"int64\", nullable = true", "fields.id.nullable",
     "a key field is never null"},
    {"\"string\"", "\"string\", column = \"e`mail\"", "fields.email.column",
     "expected letters, digits, '_' and '$', at most 64; found 'e`mail'"},
    {"\"string\"", "\"string\", column = \"OWNER\"", "fields.email.column",
     "column 'OWNER' is already that of field 'owner'"},
    {"\"string\"", "\"string\", sensitivity = \"top secret\"", "fields.email.sensitivity",
     "expected a name of lower-case"},

    // [[index]]
    {"", "[[index]] #!\nunique = true", "index[0].fields",
     "missing; expected an array of field names"},
    {"", "[[index]]\nfields = [\"emial\"] #!", "index[0].fields[0]",
     "no field 'emial' in [fields]; did you mean 'email'?"},
    {"", "[[index]]\nfields = [\"extra\"] #!", "index[0].fields",
     "field 'extra' of type json cannot be in an index"},
    {"", "[[index]]\nfields = [\"email\"]\n[[index]]\nfields = [\"email\"] #!", "index[1].fields",
     "these fields have an index already"},
    {"", "[[index]]\nfields = [\"email\"]\nuniqe = true #!", "index[0].uniqe",
     "unknown key; did you mean 'unique'?"},
    {"",
     "[[index]]\nfields = [\"created\"]\nexpire_after = \"30d\"\n[write]\n"
     "delete = \"sp_gone\" #!",
     "write.delete", "rows with `expire_after` are deleted without this procedure"},
    {"", "[[index]]\nfields = [\"created\"]\nwhere = { status = \"open\" } #!", "index[0].where",
     "partial indexes are not available on 'rel'"},
    {"", "[index] #!\nfields = [\"email\"]", "index",
     "expected an array, found a table; write [[index]]"},

    {"", "[[index]]\nfields = [\"created\"]\nexpire_after = 30 #!", "index[0].expire_after",
     "in quotes, for example \"2s\", found an integer"},

    // [protect], [read], [write]
    {"", "[protect]\nprotected = [\"ballance\"] #!", "protect.protected[0]",
     "no field 'ballance' in [fields]; did you mean 'balance'?"},
    {"", "[read]\nveiw = \"v\" #!", "read.veiw", "unknown key; did you mean 'view'?"},
    {"", "[read]\nview = \"v accounts\" #!", "read.view", "expected letters"},
    {"", "[write]\nremove = \"sp\" #!", "write.remove",
     "unknown key; known here: insert, update, delete, dynamic_sql, errors"},
    {"", "[write]\ninsert = \"sp()\" #!", "write.insert", "expected letters"},

    // soft_delete
    {"key    = [\"id\"]", "key    = [\"id\"]\nsoft_delete = \"gone\" #!", "template.soft_delete",
     "no field 'gone' in [fields]"},
    {"key    = [\"id\"]", "key    = [\"id\"]\nsoft_delete = \"email\" #!", "template.soft_delete",
     "field 'email' must be of type datetime, and is string"},
    {"key    = [\"id\"]\n\n[fields]",
     "key    = [\"id\"]\nsoft_delete = \"gone\" #!\n[fields]\ngone = { type = \"datetime\", "
     "nullable = false "
     "}",
     "template.soft_delete", "must be nullable, without default and not generated"},
    {"key    = [\"id\"]\n\n[fields]",
     "key    = [\"id\"]\nsoft_delete = \"gone\" #!\n[fields]\ngone = { type = \"datetime\", "
     "generated = "
     "\"now\" }",
     "template.soft_delete", "must be nullable, without default and not generated"},
    {"key    = [\"id\"]\n\n[fields]",
     "key    = [\"id\"]\nsoft_delete = \"gone\"\n[write]\nupdate = \"sp\" #!\n[fields]\ngone = { "
     "type = "
     "\"datetime\" }",
     "write.update", "rows with `soft_delete` are not deleted by a procedure"},
    {"key    = [\"id\"]\n\n[fields]",
     "key    = [\"id\"]\nsoft_delete = \"gone\"\n[write]\ndelete = \"sp\" #!\n[fields]\ngone = { "
     "type = "
     "\"datetime\" }",
     "write.delete", "rows with `soft_delete` are not deleted by a procedure"},

    // [calls.*]
    {"", "[calls.Pay] #!\nclass = \"write\"\nprocedure = \"sp\"", "calls.Pay",
     "expected a name of lower-case"},
    {"", "[calls.fetch] #!\nclass = \"read\"\nprocedure = \"sp\"", "calls.fetch",
     "'fetch' is an operation: give the call another name"},
    {"", "[calls]\npay = \"sp\" #!", "calls.pay", "expected a table [calls.pay], found text"},
    {"", "[calls.pay] #!\nclass = \"write\"", "calls.pay.procedure",
     "missing; expected a procedure or a function ('rel'), or a pipeline ('rec')"},
    {"", "[calls.pay] #!\nclass = \"read\"\nprocedure = \"sp\"\npipeline = \"[]\"",
     "calls.pay.pipeline",
     "expected one of procedure, function and pipeline, found procedure and pipeline"},
    {"", "[calls.pay] #!\nclass = \"read\"\nprocedure = \"sp\"\nfunction = \"fn\"",
     "calls.pay.function", "found procedure and function"},
    {"", "[calls.pay]\nclass = \"read\"\nfunction = \"f n\" #!\nout = [[\"a\", \"int8\"]]",
     "calls.pay.function", "expected letters, digits"},
    {"", "[calls.pay] #!\nclass = \"read\"\nfunction = \"fn\"", "calls.pay.out",
     "a function gives one value: expected one pair like"},
    {"",
     "[calls.pay]\nclass = \"read\"\nfunction = \"fn\"\nargs = [[\"a\", \"int8\"]]\nout = "
     "[[\"a\", \"int8\"]] #!",
     "calls.pay.out", "with a name of its own"},
    {"",
     "[calls.pay]\nclass = \"read\"\nfunction = \"fn\"\nout = [[\"a\", "
     "\"int8\"]]\n[[calls.pay.returns]] #!\nname "
     "= \"x\"\nfields = [[\"b\", \"int8\"]]",
     "calls.pay.returns", "a function has no result sets"},
    {"", "[calls.pay]\nclass = \"read\"\nfunction = \"fn\"\nout = [[\"a\", \"enum\"]] #!",
     "calls.pay.out[0]", "an enum cannot be given here; expected string"},
    {"",
     "[calls.pay]\nclass = \"read\"\nprocedure = \"sp\"\n[[calls.pay.returns]]\nname = "
     "\"x\"\nfields = [[\"b\", "
     "\"enum\"]] #!",
     "calls.pay.returns[0].fields[0]", "an enum cannot be given here; expected string"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\ndynamic_sql = \"yes\" #!",
     "calls.pay.dynamic_sql", "expected true or false"},
    {"", "[calls.pay]\nclass = \"read\"\npipeline = \"[]\" #!", "calls.pay.pipeline",
     "pipelines are MongoDB's; expected a procedure"},
    {"", "[calls.pay] #!\nprocedure = \"sp\"", "calls.pay.class",
     "missing; expected \"read\", \"write\" or \"bulk\""},
    {"", "[calls.pay]\nprocedure = \"sp\"\nclass = \"wirte\" #!", "calls.pay.class",
     "expected \"read\", \"write\" or \"bulk\", found 'wirte'; did you mean 'write'?"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp`\" #!", "calls.pay.procedure",
     "expected letters, digits, '_' and '$', at most 64, with one dot after a schema; found 'sp`'"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargz = [] #!", "calls.pay.argz",
     "unknown key; did you mean 'args'?"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [\"from\"] #!",
     "calls.pay.args[0]", "expected a pair like [\"amount\", \"decimal(18,2)\"]"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [[\"from\", \"int_64\"]] #!",
     "calls.pay.args[0]", "unknown type 'int_64'; did you mean 'int64'?"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [[\"from\", \"enum\"]] #!",
     "calls.pay.args[0]", "an enum cannot be given here; expected string"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [[\"a\", \"int8\"],\n  [\"a\", "
     "\"int8\"]] #!",
     "calls.pay.args[1]", "'a' is there twice"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [[\"a\", \"int8\"]]\nout = "
     "[[\"a\", \"int16\"]] #!",
     "calls.pay.out", "'a' is an argument of type int8, found int16"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [[\"a\", \"int8\"]]\nout = "
     "[[\"b\", \"int8\"], [\"a\", \"int8\"]] #!",
     "calls.pay.out", "'a' is an argument, too, and so INOUT: expected before those that are OUT"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\nargs = [[\"a\", \"int8\"], [\"b\", "
     "\"int8\"]]\nout = [[\"b\", \"int8\"], [\"a\", \"int8\"]] #!",
     "calls.pay.out", "in the order of the arguments"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[calls.pay.returns] #!\nname = \"x\"",
     "calls.pay.returns", "expected an array, found a table; write [[calls.pay.returns]]"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[[calls.pay.returns]] #!\nfields = "
     "[[\"a\", \"int8\"]]",
     "calls.pay.returns[0].name", "missing; expected a name"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[[calls.pay.returns]] #!\nname = \"x\"",
     "calls.pay.returns[0].fields", "expected at least one pair like"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[[calls.pay.returns]]\nname = "
     "\"x\"\nfields = [[\"a\", \"int8\"]]\n[[calls.pay.returns]]\nname = \"x\" #!\nfields = "
     "[[\"a\", \"int8\"]]",
     "calls.pay.returns[1].name", "'x' is there twice"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[calls.pay.errors]\n4500 = \"NO\" #!",
     "calls.pay.errors.4500", "expected an SQLSTATE of five digits or upper-case letters"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[calls.pay.errors]\n40001 = \"NO\" #!",
     "calls.pay.errors.40001", "SQLSTATEs of class 40 are the server's own"},
    {"",
     "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[calls.pay.errors]\n45001 = \"no\" #!",
     "calls.pay.errors.45001", "expected a word like INSUFFICIENT_FUNDS"},
    {"", "[calls.pay]\nclass = \"write\"\nprocedure = \"sp\"\n[calls.pay.errors]\n45001 = 3 #!",
     "calls.pay.errors.45001", "expected text, found an integer"},

    // [limits], [features]
    {"", "[limits]\nmax_rows = 0 #!", "limits.max_rows",
     "expected an integer from 1 to 100000, found 0"},
    {"", "[limits]\nmax_in = 10001 #!", "limits.max_in",
     "expected an integer from 1 to 10000, found 10001"},
    {"", "[limits]\ndeadline = \"2\" #!", "limits.deadline",
     "expected 10ms to 10m as a number with ms, s, m, h or d, found '2'"},
    {"", "[limits]\ndeadline = \"11m\" #!", "limits.deadline", "expected 10ms to 10m"},
    {"", "[limits]\ndeadline = \"99999999999999999999d\" #!", "limits.deadline", "expected 10ms"},
    {"", "[limits]\ndeadline = 2 #!", "limits.deadline",
     "expected 10ms to 10m as a number with ms, s, m, h or d in quotes, for example \"2s\", found "
     "an "
     "integer"},
    {"", "[limits]\nmax_row = 3 #!", "limits.max_row", "unknown key; did you mean 'max_rows'?"},
    {"", "[features]\naudit = true #!", "features.audit",
     "feature 'audit' is not available in this version"},
    {"", "[features]\ncache = { ttl = \"30s\" } #!", "features.cache",
     "feature 'cache' is not available in this version"},
    {"", "[features]\njurnal = true #!", "features.jurnal", "unknown key; did you mean 'journal'?"},
};

const std::vector<mistake> rec_mistakes{
    {"\"things\"\nkey", "\"system.users\" #!\nkey", "template.object",
     "not beginning with 'system.'"},
    {"\"things\"\nkey", "\"a$b\" #!\nkey", "template.object", "expected letters"},
    {"\"_id\"", "\"_beds\"", "fields.id.column", "and not '_beds'; found '_beds'"},
    {"\"_id\"", "\"a.b\"", "fields.id.column", "expected letters, digits and '_'"},
    {"country = { type = \"string\"", "country = { type = \"decimal(35,2)\"", "fields.country.type",
     "MongoDB keeps decimals of at most 34 digits, found 35"},
    {"country = { type = \"string\"", "country = { type = \"int64\", generated = \"database\"",
     "fields.country.generated", "on 'rec' the database makes no values"},
    {"country = { type = \"string\"", "country = { type = \"string\", stored = \"object-id\"",
     "fields.country.stored",
     "expected \"date\" or \"object_id\", found 'object-id'; did you mean 'object_id'?"},
    {"country = { type = \"string\"", "country = { type = \"string\", stored = \"date\"",
     "fields.country.stored", "\"date\" is for datetimes; this field is string"},
    {"country = { type = \"string\"", "country = { type = \"uuid\", stored = \"object_id\"",
     "fields.country.stored", "\"object_id\" is for strings; this field is uuid"},
    {"country = { type = \"string\"",
     "country = { type = \"string\", stored = \"object_id\", default = \"x\"",
     "fields.country.default", "an ObjectId has no default"},
    {"seen    = { type = \"datetime\"",
     "seen    = { type = \"datetime\", stored = \"date\", default = \"2024-01-01T00:00:00.0001Z\"",
     "fields.seen.default", "expected a datetime of whole milliseconds"},
    {"", "[[index]]\nfields = [\"seen\"]\nwhere = { ref = \"x\" } #!", "index[0].where.ref",
     "expected an ObjectId: 24 hexadecimal digits in lower case"},
    {"country = { type = \"string\"", "country = { type = \"string\", collation = \"de\"",
     "fields.country.collation", "collations on 'rec' are not available in this version"},
    {"", "[write] #!\ninsert = \"sp\"", "write", "MongoDB has no procedures"},
    {"", "[[index]]\nfields = [\"country\"]\nexpire_after = \"1d\" #!", "index[0].expire_after",
     "field 'country' must be of type datetime, and is string"},
    {"", "[[index]]\nfields = [\"seen\", \"other\"]\nexpire_after = \"1d\" #!",
     "index[0].expire_after", "an index that expires has one field"},
    {"", "[[index]]\nfields = [\"seen\"]\nexpire_after = \"soon\" #!", "index[0].expire_after",
     "expected 1s to 36500d as a number with ms, s, m, h or d, found 'soon'"},
    {"", "[[index]]\nfields = [\"seen\"]\nexpire_after = \"1500ms\" #!", "index[0].expire_after",
     "expected whole seconds"},
    {"", "[[index]]\nfields = [\"seen\"]\nwhere = {} #!", "index[0].where",
     "expected at least one field = value"},
    {"", "[[index]]\nfields = [\"seen\"]\n[index.where]\ncuontry = \"x\" #!",
     "index[0].where.cuontry", "no field 'cuontry' in [fields]; did you mean 'country'?"},
    {"", "[[index]]\nfields = [\"seen\"]\n[index.where]\ncountry = 3 #!", "index[0].where.country",
     "expected"},
    {"", "[calls.top]\nclass = \"read\"\nprocedure = \"sp\" #!", "calls.top.procedure",
     "MongoDB has no procedures; expected a pipeline"},
    {"", "[calls.top]\nclass = \"read\"\nfunction = \"fn\" #!\nout = [[\"a\", \"int8\"]]",
     "calls.top.function", "MongoDB has no stored functions; expected a pipeline"},
    {"",
     "[calls.top]\nclass = \"read\"\npipeline = '[{\"$match\":{\"country\":1}}]'\ndynamic_sql = "
     "true #!\n"
     "[[calls.top.returns]]\nname = \"x\"\nfields = [[\"country\", \"string\"]]",
     "calls.top.dynamic_sql", "a pipeline is never made at run time"},
};

/// Mistakes in a pipeline that is otherwise good; the text stands on one line.
struct bad_pipeline {
    std::string_view json;
    std::string_view message;
};

const std::vector<bad_pipeline> pipelines{
    {R"([{"$match":{"a":{"$arg":"x"}}])", "not JSON: "},
    {R"({"$match":{"a":{"$arg":"x"}}})", "a pipeline is a JSON array of stages"},
    {R"([{"match":{"a":{"$arg":"x"}}}])", "stage 1: a stage is an object with one operator"},
    {R"([{"$match":{"a":{"$arg":"x"}},"$limit":1}])", "stage 1: a stage is an object"},
    {R"([{"$match":{"a":{"$arg":"x"}}}, 3])", "stage 2: a stage is an object"},
    {R"([{"$match":{"a":{"$arg":"y"}}},{"$match":{"a":{"$arg":"x"}}}])", "no argument 'y'"},
    {R"([{"$match":{"a":1}}])", "argument 'x' is not used in the pipeline"},
    {R"([{"$match":{"a":{"$arg":"x","b":1}}},{"$match":{"a":{"$arg":"x"}}}])",
     "an argument is written {\"$arg\":\"name\"}, or with \"stored\" beside it, and nothing else"},
    {R"([{"$match":{"a":{"$arg":"x","stored":"day"}}}])",
     "expected \"date\" or \"object_id\" as the \"stored\" of argument 'x'"},
    {R"([{"$match":{"a":{"$arg":"x","stored":7}}}])", "expected \"date\" or \"object_id\""},
    {R"([{"$match":{"a":{"$arg":"x","stored":"date"}}}])",
     "argument 'x' is string: only datetimes are stored as \"date\""},
    {R"([{"$match":{"a":{"$arg":3}}},{"$match":{"a":{"$arg":"x"}}}])", "an argument is written"},
    {R"([{"$match":{"a":{"$arg":"x"},"$where":"1"}}])", "$where is not allowed in a pipeline"},
    {R"([{"$match":{"a":{"$arg":"x"},"\u0024where":"1"}}])", "$where is not allowed"},
    {R"([{"$match":{"a":{"$arg":"x"}}},{"$out":"t"}])", "$out is not allowed"},
    {R"([{"$match":{"a":{"$arg":"x"}}},{"$merge":"t"}])", "$merge is not allowed"},
    {R"([{"$match":{"a":{"$arg":"x"}}},{"$facet":{"f":[{"$match":{"$expr":{"$function":{}}}}]}}])",
     "$function is not allowed"},
    {R"([{"$group":{"_id":{"$arg":"x"},"n":{"$accumulator":{}}}}])", "$accumulator is not allowed"},
    {R"([{"$match":{"a":{"$arg":"x"}},"$match":{}}])", "not JSON: "},
};

templates::load_settings settings() {
    templates::load_settings made;
    made.services = {"app_server", "admin"};
    made.connections = {{"rel", templates::engine::rel},
                        {"warehouse", templates::engine::rel},
                        {"rec", templates::engine::rec}};
    return made;
}

std::string with(std::string_view base, const mistake& made) {
    std::string text{base};
    if (made.from.empty()) {
        return text + std::string{made.to} + '\n';
    }
    const auto at = text.find(made.from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, made.from.size(), made.to);
}

std::uint32_t line_of(std::string_view text, std::size_t position) {
    return static_cast<std::uint32_t>(
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
}

/// The marked line; else the line of the replaced text when that is on it, else the section's.
std::uint32_t expected_line(std::string_view text, const mistake& made) {
    if (const auto at = text.find(mark); at != text.npos) {
        return line_of(text, at);
    }
    if (!made.to.empty() && made.to.find('\n') == made.to.npos) {
        return line_of(text, text.find(made.to));
    }
    return made.key.starts_with("template") ? line_of(text, text.find("[template]")) : 0;
}

void check(std::string_view base, const mistake& made,
           const templates::load_settings& with_settings) {
    const auto text = with(base, made);
    INFO(text);
    const auto result = templates::parse(text, with_settings, "bad.toml");
    CHECK_FALSE(result.parsed);
    std::string all;
    for (const auto& each : result.problems) {
        all += templates::to_string(each) + '\n';
    }
    INFO(all);
    REQUIRE(result.problems.size() == 1);
    const auto& found = result.problems.front();
    CHECK(found.file == "bad.toml");
    CHECK(found.key == made.key);
    CHECK(found.message.find(made.message) != std::string::npos);
    if (const auto line = expected_line(text, made); line != 0) {
        CHECK(found.line == line);
    }
}

} // namespace

TEST_CASE("the bases of the mistakes are right") {
    CHECK(templates::parse(rel_base, settings()).problems.empty());
    CHECK(templates::parse(rec_base, settings()).problems.empty());
}

TEST_CASE("each mistake in a template of MariaDB is refused with file, line, key and what to do") {
    auto with_wbid = settings();
    with_wbid.wbid = "ms";
    for (const auto& each : rel_mistakes) {
        check(rel_base, each, with_wbid);
    }
}

TEST_CASE("each mistake in a template of MongoDB is refused with file, line, key and what to do") {
    for (const auto& each : rec_mistakes) {
        check(rec_base, each, settings());
    }
}

TEST_CASE("each mistake in a pipeline is refused") {
    const auto file = [](std::string_view json) {
        return std::string{rec_base} +
               "[calls.top]\nclass = \"read\"\nargs = [[\"x\", \"string\"]]\npipeline = '''" +
               std::string{json} +
               "''' #!\n[[calls.top.returns]]\nname = \"rows\"\nfields = [[\"n\", \"int64\"]]\n";
    };
    const auto good = templates::parse(file(R"([{"$match":{"a":{"$arg":"x"}}}])"), settings());
    CHECK(good.problems.empty());
    for (const auto& each : pipelines) {
        const auto text = file(each.json);
        INFO(text);
        const auto result = templates::parse(text, settings());
        REQUIRE_FALSE(result.problems.empty());
        const auto& found = result.problems.front();
        INFO(found.message);
        CHECK(found.key == "calls.top.pipeline");
        CHECK(found.line == line_of(text, text.find(mark)));
        CHECK(std::any_of(result.problems.begin(), result.problems.end(), [&](const auto& problem) {
            return problem.message.find(each.message) != std::string::npos;
        }));
    }
}

TEST_CASE("under $all of a pipeline stand no documents") {
    const auto problems = [](std::string_view type, std::string_view json) {
        return templates::parse(std::string{rec_base} + "[calls.top]\nclass = \"read\"\nargs = " +
                                    "[[\"x\", \"" + std::string{type} + "\"]]\npipeline = '" +
                                    std::string{json} + "'\n[[calls.top.returns]]\nname = " +
                                    "\"rows\"\nfields = [[\"n\", \"int64\"]]\n",
                                settings())
            .problems;
    };
    constexpr std::string_view all = R"([{"$match":{"a":{"$all":[{"$arg":"x"}]}}}])";
    CHECK(problems("string", all).empty());
    CHECK(problems("json", R"([{"$match":{"a":{"$in":[{"$arg":"x"}]}}}])").empty());
    for (const std::string type : {"json", "document"}) {
        const auto found = problems(type, all);
        REQUIRE(found.size() == 1);
        CHECK(found[0].key == "calls.top.pipeline");
        CHECK(found[0].message.find("argument 'x' is " + type + ": under $all") !=
              std::string::npos);
    }
}

TEST_CASE("each argument of a pipeline is used") {
    const auto result = templates::parse(std::string{rec_base} + R"toml([calls.top]
class = "read"
args = [["x", "string"], ["y", "string"]]
pipeline = '[{"$match":{"country":{"$arg":"x"}}}]'
[[calls.top.returns]]
name = "rows"
fields = [["n", "int64"]]
)toml",
                                         settings());
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].message == "argument 'y' is not used in the pipeline");
}

TEST_CASE("a pipeline only reads, into one set") {
    const std::string text = std::string{rec_base} + R"toml([calls.top]
class = "write"
pipeline = "[]"
out = [["n", "int64"]]
[calls.top.errors]
45001 = "NO"
)toml";
    const auto result = templates::parse(text, settings());
    REQUIRE(result.problems.size() == 4);
    CHECK(result.problems[0].key == "calls.top.returns");
    CHECK(result.problems[0].message ==
          "a pipeline returns one set: expected one [[calls.top.returns]], found 0");
    CHECK(result.problems[1].key == "calls.top.class");
    CHECK(result.problems[2].key == "calls.top.out");
    CHECK(result.problems[3].key == "calls.top.errors");
}

TEST_CASE("a protected field cannot be required") {
    const auto result = templates::parse(
        std::string{rel_base} + "[protect]\nprotected = [\"owner\"]\n", settings());
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].key == "fields.owner.required");
    CHECK(result.problems[0].line == line_of(rel_base, rel_base.find("owner   =")));
}

TEST_CASE("direct = deny asks for a view and a procedure for every write") {
    auto deny = settings();
    deny.direct = templates::direct_access::deny;
    const auto bare = templates::parse(rel_base, deny);
    REQUIRE(bare.problems.size() == 4);
    CHECK(bare.problems[0].key == "read.view");
    CHECK(bare.problems[0].message ==
          "missing; the configuration's direct = \"deny\" asks for a view instead of access to the "
          "object itself");
    CHECK(bare.problems[3].key == "write.delete");
    const auto full = templates::parse(
        std::string{rel_base} +
            "[read]\nview = \"v\"\n[write]\ninsert = \"i\"\nupdate = \"u\"\ndelete = \"d\"\n",
        deny);
    CHECK(full.problems.empty());
    CHECK(templates::parse(rec_base, deny).problems.empty()); // neither views nor procedures there
}

TEST_CASE("every problem of a file is reported, in order of lines") {
    const auto result = templates::parse(R"toml([template]
name = "Bad"
store = "sql"
object = "a b"
key = ["nope"]
[fields]
x = { type = "what", colour = 1 }
[limits]
max_rows = -1
)toml");
    std::vector<std::string> keys;
    std::uint32_t last = 0;
    for (const auto& each : result.problems) {
        keys.push_back(each.key);
        CHECK(each.line >= last);
        last = each.line;
    }
    CHECK(keys == std::vector<std::string>{"template.name", "template.store", "template.object",
                                           "template.key[0]", "fields.x.colour", "fields.x.type",
                                           "limits.max_rows"});
    CHECK(templates::to_string(result.problems.back()) ==
          "template.toml:9: limits.max_rows: expected an integer from 1 to 100000, found -1");
}

TEST_CASE("an empty file and hostile files get an answer") {
    CHECK(templates::parse("").problems.size() == 2);
    CHECK(templates::parse(std::string(1000, '[')).problems.size() == 1);
    CHECK(templates::parse("a = " + std::string(10000, '[')).problems.size() == 1);
    CHECK(templates::parse(std::string("\xff\xfe\0x", 4)).problems.size() == 1);
    const auto loud = templates::parse("\"\\u0000" + std::string(5000, 'x') + "\" = 1");
    for (const auto& each : loud.problems) {
        CHECK(each.key.size() < 100);
        CHECK(each.key.find('\0') == std::string::npos);
    }
}

TEST_CASE("every type that a message lists is one") {
    const auto text = std::string{rel_base} + "[calls.x]\nclass=\"read\"\nprocedure=\"p\"\nargs = "
                                              "[[\"a\",\"zzzzzzzzzz\"]]\n";
    const auto result = templates::parse(text, settings());
    REQUIRE(result.problems.size() == 1);
    std::string_view list = result.problems[0].message;
    list.remove_prefix(list.find("known: ") + std::string_view{"known: "}.size());
    std::size_t count = 0;
    while (!list.empty()) {
        const auto end = std::min(list.find(", "), list.size());
        const auto name = list.substr(0, end);
        if (name != "decimal(precision,scale)") {
            INFO(name);
            CHECK(core::parse_field_type(name));
        }
        ++count;
        list.remove_prefix(std::min(end + 2, list.size()));
    }
    CHECK(count == static_cast<std::size_t>(core::type_kind::document) + 1);
}
