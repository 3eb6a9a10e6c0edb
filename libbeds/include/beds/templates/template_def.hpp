#pragma once

#include <beds/core/name.hpp>
#include <beds/core/operation.hpp>
#include <beds/core/row.hpp>
#include <beds/core/value.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beds::templates {

/// Position of a field in `template_def::fields`.
using field_id = std::uint16_t;

enum class engine : std::uint8_t { rel, rec };
std::string_view to_string(engine value);

/// Who makes a field's value when the client gives none.
enum class generated : std::uint8_t {
    no,
    database, ///< auto-increment or the like; MariaDB only: on MongoDB no ObjectId or counter is
              ///< made up
    now,      ///< the node's time at insert
    uuid,     ///< a random (version 4) UUID made by the node
};

/// As what a collection holds a field's values, where that is not the usual form of its type.
enum class stored_form : std::uint8_t {
    usual,
    date,      ///< of a datetime: MongoDB's date, which keeps milliseconds
    object_id, ///< of a string: an ObjectId, for clients 24 hexadecimal digits in lower case
};

struct field {
    std::string name;   ///< what clients say: [a-z][a-z0-9_]*
    std::string column; ///< column or stored name
    core::field_type type;
    bool required = false;        ///< an insert must give it
    bool nullable = true;         ///< by default false for required, generated and key fields
    bool write_protected = false; ///< clients never write it, at insert neither
    bool indexed =
        false; ///< may stand in `where` and `sort`: in the key or in an index without `where`
    bool in_key = false;
    generated source = generated::no;
    stored_form stored = stored_form::usual;
    std::optional<std::string> default_text; ///< a default as JSON text, converted at load
    core::value default_value; ///< view into `default_storage`; null kind when there is none
    std::shared_ptr<const std::string>
        default_storage;     ///< shared by copies, so that the view stays valid
    std::string collation;   ///< empty: binary comparison
    std::string sensitivity; ///< for example `pii`; empty: none
};

struct index {
    std::vector<field_id> fields;
    bool unique = false;
    /// Rows go when their datetime lies so far behind. On MongoDB the DBA's index does it, on
    /// MariaDB the adapter (`adapter::expire`).
    std::optional<std::chrono::seconds> expire_after;
    std::string where_json; ///< partial index condition, as JSON text; MongoDB only; empty: none
};

struct argument {
    std::string name;
    core::field_type type;
};

struct result_set {
    std::string name;
    core::row_layout layout;
};

/// One named call: a procedure or stored function, or on MongoDB an aggregation with bound
/// arguments.
struct call {
    std::string name;
    core::op_class op_class = core::op_class::write;
    std::string routine;        ///< MariaDB: a procedure, or a stored function followed by `()`
    bool dynamic_sql = false;   ///< the routine may make statements at run time
    std::string pipeline;       ///< MongoDB: JSON text with {"$arg":"name"} in it
    std::vector<argument> args; ///< in the order of the routine's parameters
    /// What comes back beside rows: INOUT parameters, which are arguments too, and behind them OUT
    /// parameters, both in the routine's order; or the one value of a function.
    std::vector<argument> out;
    std::size_t inout = 0; ///< so many of `out` are INOUT
    core::row_layout out_layout;
    std::vector<result_set> returns;
    std::map<std::string, std::string, std::less<>> errors; ///< SQLSTATE → reason

    [[nodiscard]] bool is_function() const { return routine.ends_with("()"); }
    /// `routine` as the database knows it.
    [[nodiscard]] std::string_view routine_name() const {
        return std::string_view{routine}.substr(0, routine.size() - (is_function() ? 2 : 0));
    }
    /// What it runs, for people: "procedure 'x'" or "function 'x'".
    [[nodiscard]] std::string shown() const;
};

struct write_procedures {
    std::string insert;
    std::string update;
    std::string remove;
    bool dynamic_sql = false; ///< they may make statements at run time
};

struct limits {
    std::uint32_t max_rows = 1000; ///< of one find, 1 to 100,000
    std::uint32_t max_in = 500;    ///< values of one `in`, 1 to 10,000
    std::uint32_t max_bytes = 0;   ///< of one operation's result; 0: the service's limit
    std::uint32_t max_depth = 100; ///< nested arrays and objects of one value, 1 to 100
    std::optional<std::chrono::milliseconds> deadline; ///< when the caller gives none
};

/// A loaded and checked template. Immutable once it stands in a registry.
struct template_def {
    std::string name;
    std::uint32_t version = 1;
    std::string service;
    engine store = engine::rel;
    std::string connection;
    std::string object;
    std::string tla;
    bool closed = false; ///< only BEDS services may use it
    std::string order_by;

    std::vector<field> fields; ///< in file order
    std::vector<field_id> key; ///< in key order
    /// A nullable datetime: a delete sets it instead, and rows that have it are no longer there.
    std::optional<field_id> soft_delete;
    std::vector<index> indexes;
    std::string read_view; ///< empty: `object`
    write_procedures write;
    std::vector<call> calls;
    std::map<std::string, std::string, std::less<>>
        write_errors; ///< `[write.errors]`: SQLSTATE → reason
    templates::limits limits;
    std::filesystem::path file;
    /// Where each key of the file stands, for example `fields.balance.type`: 1-based. Shared by
    /// copies. Null for what was not read from a text.
    std::shared_ptr<const std::map<std::string, std::uint32_t, std::less<>>> lines;

    core::row_layout all_fields; ///< every field in file order: a row without `fields`
    core::row_layout key_layout;

    [[nodiscard]] const std::string& read_object() const {
        return read_view.empty() ? object : read_view;
    }
    [[nodiscard]] std::optional<field_id> find_field(std::string_view field_name) const;
    [[nodiscard]] const call* find_call(std::string_view call_name) const;
    /// "; did you mean 'x'?" for a field name that is not there, or "".
    [[nodiscard]] std::string suggest_field(std::string_view field_name) const;
    /// The line of a key, or of what it stands in when the file does not have it; 0: not known.
    [[nodiscard]] std::uint32_t line_of(std::string_view key_of_file) const;
    /// Does an index have `expire_after`?
    [[nodiscard]] bool has_rows_that_expire() const;
    /// The field lists by which an insert's `on_conflict` may find a row that is there: the key
    /// first, on `rel` each unique index over all rows. Empty: it takes no `on_conflict`.
    [[nodiscard]] std::vector<std::span<const field_id>> conflict_keys() const;
    /// On which class of queue the operation belongs; `called` for `call` only.
    [[nodiscard]] core::op_class class_of(core::verb op, const call* called = nullptr) const;
};

} // namespace beds::templates
