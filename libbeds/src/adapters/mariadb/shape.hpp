#pragma once

#include "adapters/mariadb/query.hpp"

#include <beds/adapters/bound.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/templates/template_def.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace beds::adapters::mariadb {

/// What the server's column of a field is. Unknown when the account may not see it.
struct column_shape {
    bool known = false;
    std::string charset;     ///< of text columns
    std::string collation;   ///< of text columns
    bool uuid = false;       ///< MariaDB's type UUID
    bool uuid_bytes = false; ///< a UUID kept in BINARY(16)
    bool nullable = true;
    bool auto_increment = false;
    unsigned fraction = 6;     ///< digits of a second that it keeps
    std::size_t padded_to = 0; ///< BINARY: bytes, filled up with zeros
    bool trims = false;        ///< CHAR: blanks at the end are gone

    /// What is read back when `given` was stored. Servers that round fractions (MySQL) differ from
    /// those that cut them off.
    [[nodiscard]] core::value as_stored(const core::value& given, bool rounds,
                                        core::arena& memory) const;

    [[nodiscard]] bool is_text() const { return !collation.empty(); }
    /// Equal means: the same characters, but for blanks at the end.
    [[nodiscard]] bool is_binary_text() const { return collation.ends_with("_bin"); }
    /// Blanks at the end do not count.
    [[nodiscard]] bool pads() const {
        return is_text() && collation.find("nopad") == std::string::npos &&
               collation.find("_0900_") == std::string::npos; // MySQL's
    }
};

/// What the server has where a template reads or writes.
struct table_shape {
    std::vector<column_shape> columns; ///< by field
    /// Fields of each unique index, by the index's name; the first one is blamed for a duplicate.
    std::map<std::string, std::vector<templates::field_id>, std::less<>> unique_indexes;
    /// The table (behind a view) whose engine cannot roll back: `schema.table (ENGINE)`. Empty:
    /// none, as far as can be seen.
    std::string unsafe;
    /// Unique indexes that hold a column which is no field of the template.
    std::set<std::string, std::less<>> wider_indexes;
};

/// One parameter of a procedure.
struct procedure_parameter {
    std::string name; ///< as the procedure has it
    std::string type; ///< as a variable of it would be declared
    bool in = true;
    bool out = false;

    /// How it takes a UUID: as the column of a field would.
    [[nodiscard]] encoding uuid_encoding() const {
        const auto is = [this](std::string_view of) { return type.starts_with(of); };
        return is("binary") || is("varbinary") || is("blob") ? encoding::uuid_bytes
                                                             : encoding::standard;
    }
};

/// Does a procedure change what outlives it?
enum class writing : std::uint8_t {
    none,
    perhaps, ///< its text cannot be read or does not show it, and its author promises nothing
    certain,
};

struct procedure_shape {
    bool known = false;     ///< parameters could be read
    bool runs_alone = true; ///< commits by itself, or may do so
    bool handles = true;    ///< has handlers for errors, or may have
    writing writes = writing::perhaps;
    std::string writes_by;        ///< the statement, for people: `UPDATE accounts`
    std::string made_at_run_time; ///< the routine that makes statements at run time; empty: none
    std::vector<procedure_parameter> parameters; ///< of a function its value comes last, as `out`
    core::content_hash text; ///< over its definition and those of the procedures it calls

    /// Of the parameter at this place; `standard` where the parameters are not known.
    [[nodiscard]] encoding encoding_of(std::size_t place) const {
        return place < parameters.size() ? parameters[place].uuid_encoding() : encoding::standard;
    }
    /// Of a call that its template says only reads: may it write all the same?
    [[nodiscard]] bool may_write(const bound_operation& op) const;
    /// And is that certain?
    [[nodiscard]] bool writes_for(const bound_operation& op) const;
    /// Does it make statements at run time, and the template does not say that it may?
    [[nodiscard]] bool hides_from(const templates::call& called) const;
    [[nodiscard]] bool hides_from(const bound_operation& op) const;
    /// Either of the two: it is not called.
    [[nodiscard]] bool contradicts(const bound_operation& op) const;
};

/// All that the adapter learned of one template's objects.
struct template_shape {
    std::string name;
    std::string object;
    std::string read_object;
    std::vector<std::string> columns;   ///< what `read` and `write` were asked for
    std::vector<core::type_kind> kinds; ///< and as what: the type of each field
    table_shape read;
    table_shape write;

    /// The server showed something of it.
    [[nodiscard]] bool visible() const;
    /// Still speaks of this template (it may have been loaded anew).
    [[nodiscard]] bool describes(const templates::template_def& target) const;
};

/// Nothing known but the template itself.
template_shape assumed_shape(const templates::template_def& target);

} // namespace beds::adapters::mariadb
