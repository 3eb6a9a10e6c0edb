#pragma once

#include <beds/core/operation.hpp>
#include <beds/templates/template_def.hpp>
#include <beds/templates/writer.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace beds::adapters {

/// An object of a live database in a template's words. `found` lacks what a database cannot know:
/// `name`, `service` and `connection`; `beside` says what a template cannot say.
struct surveyed {
    templates::template_def found;
    templates::remarks beside;
    /// Columns that no type of a template holds. They are not among `found.fields`.
    struct unknown_column {
        std::string name;
        std::string type;      ///< in the server's words
        bool required = false; ///< it is not NULL and has no default
    };
    std::vector<unknown_column> unknown;
    /// Columns that keep less than their type in `found` says.
    struct narrow_column {
        std::string name;
        std::string type;        ///< in the server's words
        std::string keeps;       ///< for a person: "about 7 digits"
        std::uint8_t bits = 0;   ///< of a whole number; 0: not one
        std::string enough = {}; ///< a type that keeps all
    };
    std::vector<narrow_column> narrow;
    /// Columns of indexes over the beginnings of some of them. They are not in `found.indexes`.
    std::vector<std::vector<std::string>> beginnings;
    bool is_view = false;
    /// What is written can be undone: false of MyISAM and the like.
    bool transactional = true;
};

struct surveyed_procedure {
    struct parameter {
        std::string name;
        bool in = true;
        bool out = false;
        std::string server_type = {};              ///< in the server's words
        std::optional<core::field_type> type = {}; ///< nothing: no type of a template holds it
    };
    std::vector<parameter> parameters; ///< in order
    bool commits = false;              ///< by itself, or its text cannot be read
    bool may_write = false;            ///< its text does not show that it only reads
    std::string writes;                ///< a statement of it that does; empty: none is seen
    /// The routine, it or one that it calls, that makes statements at run time; empty: none is
    /// seen.
    std::string made_at_run_time = {};
};

/// Where a template and the live database differ.
struct difference {
    enum class severity : std::uint8_t {
        warning, ///< some values or some requests will be refused by the database
        error,   ///< the template promises what the database cannot keep
    };
    severity how = severity::error;
    std::string key;    ///< of the template, for example `fields.balance.type`
    std::string text;   ///< what the template expects, and what is there
    std::string advice; ///< what to do
};

/// `file:line: key: error: text; advice`, with the template's name when it has no file.
std::string to_string(const difference& found, const templates::template_def& of);

/// Compares a template with what it reads (its view, or its object) and what it writes, as far as
/// operations up to the class `highest` need it. Empty: all that it names is there and means the
/// same. Names of columns are compared as the engine does: without case on `rel`. Says nothing of
/// procedures and of rights.
std::vector<difference> compare(const templates::template_def& wanted, const surveyed& read,
                                const surveyed& written,
                                core::op_class highest = core::op_class::bulk);

/// The same for one call and its procedure; null: it is not there, or the account may not see it.
std::vector<difference> compare(const templates::call& wanted, const surveyed_procedure* there);

/// And for the procedure under `[write]` that does `op` (insert, update or delete).
std::vector<difference> compare(const templates::template_def& wanted, core::verb op,
                                const surveyed_procedure* there);

} // namespace beds::adapters
