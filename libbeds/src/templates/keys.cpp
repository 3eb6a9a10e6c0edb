#include "templates/keys.hpp"

#include <beds/templates/registry.hpp>

#include <array>
#include <string>

namespace beds::templates {
namespace keys {
namespace {

constexpr std::array root_rows{
    key_row{"template", "table", "required", "what the template is"},
    key_row{"fields", "table", "required", "one key per field"},
    key_row{"index", "array of tables", "none", "indexes that the DBA keeps"},
    key_row{"protect", "table", "none", "what clients do not write"},
    key_row{"read", "table", "none", "where rows are read"},
    key_row{"write", "table", "none", "procedures that write"},
    key_row{"calls", "table", "none", "one key per call"},
    key_row{"limits", "table", "none", "bounds"},
    key_row{"features", "table", "none", "what is switched on"},
};

constexpr std::array about_rows{
    key_row{"name", "name", "required",
            "what clients say; `catalog`, `rel`, `rec` and the connections' names are reserved"},
    key_row{"version", "1 to 2147483647", "1", "the DBA's own count of changes"},
    key_row{"service", "name", "`app_server`", "the role that serves it"},
    key_row{"store", "`rel` or `rec`", "required", "MariaDB/MySQL or MongoDB"},
    key_row{"connection", "name", "the store's name",
            "a database service of the configuration, of the store's engine"},
    key_row{"object", "identifier", "required",
            "table (`rel`: `schema.table` too) or collection; begins with the configuration's "
            "`wbid` and `_` when there is one"},
    key_row{
        "key", "array of field names", "required",
        "the primary key, in order; not of type double, json or document. On `rec` it is `_id`, or "
        "has a "
        "unique index, which `bedsctl schema --engine mongodb --indexes` prints: without it a node "
        "does not start ([operating.md](operating.md))"},
    key_row{"tla", "three lower-case letters or digits", "none",
            "columns are `{field}_{tla}` unless `column` says otherwise"},
    key_row{
        "soft_delete", "field name", "none",
        "a datetime that may be null: a delete sets it to the node's time instead of deleting, "
        "and a row that has it is not there any more for anybody, but for unique indexes. Clients "
        "do not write it. Not with procedures for updates or deletes"},
    key_row{"closed", "`true` or `false`", "`false`",
            "`true`: only for BEDS services (see Closed templates); for everybody else it is not "
            "there"},
    key_row{"order_by", "field name", "none",
            "of the key: writes on one value of it apply in the order in which they were "
            "published, on any number of nodes; see Order"},
};

constexpr std::array field_rows{
    key_row{"type", "type", "required", "see Types"},
    key_row{"max", "1 to 16777216", "the message's limit",
            "most characters of a string, most bytes of bytes"},
    key_row{"collation", "identifier", "binary", "of a string or enum on `rel`: how it compares"},
    key_row{"required", "`true` or `false`",
            "`false`; on `rec` `true` where null may not be stored and nothing else gives a value",
            "an insert must give it; excludes `default`, `generated` and protection"},
    key_row{"nullable", "`true` or `false`", "`true`; `false` if required, generated or in the key",
            "whether null may be stored"},
    key_row{"generated", "`database`, `now` or `uuid`", "none",
            "who makes the value when an insert gives none: `database` (one integer field of the "
            "key, `rel` only), the node's time (datetime), a random UUID (uuid)"},
    key_row{"default", "a value of the type", "none",
            "stored when an insert does not give the field; not for json and document"},
    key_row{"values", "array of texts", "required for enum", "what an enum may be"},
    key_row{"column", "identifier", "the field's name, with the `tla`", "column or stored name"},
    key_row{
        "stored", "`date` or `object_id`", "the type's own form",
        "`rec` only, for collections that others write, too: a datetime as a date of MongoDB's "
        "(see Types), a string as an ObjectId: for clients 24 hexadecimal digits in lower case, "
        "which have no `prefix` and no default, and which who inserts gives"},
    key_row{"sensitivity", "name", "none", "for example `pii`"},
};

constexpr std::array index_rows{
    key_row{"fields", "array of field names", "required", "in the order of the index"},
    key_row{"unique", "`true` or `false`", "`false`", "no two rows have the same values"},
    key_row{
        "expire_after", "duration, 1s to 36500d", "none",
        "rows go when their datetime in this one field lies so far behind: on `rec` by MongoDB's "
        "TTL "
        "(the index is the DBA's), on `rel` by the nodes, which look every twentieth of that time, "
        "100 ms to a minute, and need DELETE on `object`"},
    key_row{"where", "table of field = value", "none",
            "`rec` only: a partial index. It does not let its fields stand in `where` and `sort`"},
};

constexpr std::array protect_rows{
    key_row{"protected", "array of field names", "none", "clients never write these"},
};

constexpr std::array read_rows{
    key_row{"view", "identifier", "`object`", "view to read instead"},
};

constexpr std::array write_rows{
    key_row{"insert", "identifier", "a statement on `object`", "`rel` only: procedure"},
    key_row{"update", "identifier", "a statement on `object`", "`rel` only: procedure"},
    key_row{"delete", "identifier", "a statement on `object`", "`rel` only: procedure"},
    key_row{"dynamic_sql", "`true` or `false`", "`false`",
            "these procedures may make statements at run time; see Statements made at run time"},
    key_row{"errors", "table of SQLSTATE = reason", "none",
            "what the procedures' `SIGNAL`s mean; see Errors"},
};

constexpr std::array call_rows{
    key_row{"procedure", "identifier", "this, `function` or `pipeline`", "`rel` only"},
    key_row{"function", "identifier", "this, `procedure` or `pipeline`",
            "`rel` only: a stored function; the one `out` is its value"},
    key_row{"pipeline", "JSON text", "this, `procedure` or `function`",
            "`rec` only: an aggregation on `object`; see Pipelines"},
    key_row{"class", "`read`, `write` or `bulk`", "required",
            "the queue it belongs to; a pipeline only reads, so never `write`"},
    key_row{"args", "array of `[name, type]`", "none",
            "in the order of the procedure's IN and INOUT parameters"},
    key_row{"out", "array of `[name, type]`", "none",
            "the procedure's OUT parameters, which stand after the arguments. An argument that is "
            "named here, too, with the same type, is INOUT; such stand first, in the order of the "
            "arguments"},
    key_row{"returns", "array of tables", "none",
            "result sets; a pipeline has exactly one, a function none"},
    key_row{"dynamic_sql", "`true` or `false`", "`false`",
            "it may make statements at run time; see Statements made at run time"},
    key_row{"errors", "table of SQLSTATE = reason", "none",
            "what the procedure's `SIGNAL`s mean; see Errors"},
};

constexpr std::array returns_rows{
    key_row{"name", "name", "required", "what clients see it under"},
    key_row{"fields", "array of `[name, type]`", "required",
            "columns in their order, on `rec` members of the documents by name"},
};

constexpr std::array limits_rows{
    key_row{"max_rows", "1 to 100000", "1000", "rows of one find; also when it gives no `limit`"},
    key_row{"max_in", "1 to 10000", "500", "values of one `in`"},
    key_row{"max_bytes", "256 to 1073741824", "the service's `max_reply_bytes`",
            "of what one operation is answered; more is `LIMIT_EXCEEDED`"},
    key_row{"max_depth", "1 to 100", "100",
            "nested arrays and objects of one json or document; more is `LIMIT_EXCEEDED`"},
    key_row{"deadline", "duration, 10ms to 10m", "the service's",
            "of an operation whose caller gives none"},
};

constexpr std::array features_rows{
    key_row{"journal", "`false`", "`false`", "not available in this version"},
    key_row{"audit", "`false`", "`false`", "not available in this version"},
    key_row{"cache", "`false`", "`false`", "not available in this version"},
};

constexpr std::array all{
    section_keys{"[template]", about_rows},  section_keys{"[fields], each field", field_rows},
    section_keys{"[[index]]", index_rows},   section_keys{"[protect]", protect_rows},
    section_keys{"[read]", read_rows},       section_keys{"[write]", write_rows},
    section_keys{"[calls.NAME]", call_rows}, section_keys{"[[calls.NAME.returns]]", returns_rows},
    section_keys{"[limits]", limits_rows},   section_keys{"[features]", features_rows},
};

} // namespace

const key_table root = root_rows;
const key_table about = about_rows;
const key_table field = field_rows;
const key_table index = index_rows;
const key_table protect = protect_rows;
const key_table read = read_rows;
const key_table write = write_rows;
const key_table call = call_rows;
const key_table returns = returns_rows;
const key_table limits = limits_rows;
const key_table features = features_rows;

std::span<const section_keys> sections() {
    return all;
}

} // namespace keys

std::string reference() {
    std::string text;
    for (const section_keys& section : keys::sections()) {
        text += "### `" + std::string{section.title} + "`\n\n";
        text += "| key | value | without it | meaning |\n|---|---|---|---|\n";
        for (const key_row& row : section.rows) {
            text += "| `" + std::string{row.name} + "` | " + std::string{row.value} + " | " +
                    std::string{row.absent} + " | " + std::string{row.meaning} + " |\n";
        }
        text += '\n';
    }
    return text;
}

} // namespace beds::templates
