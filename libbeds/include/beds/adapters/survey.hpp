#pragma once

#include <beds/templates/template_def.hpp>
#include <beds/templates/writer.hpp>

#include <cstdint>
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
    bool is_view = false;
    /// What is written can be undone: false of MyISAM and the like.
    bool transactional = true;
};

struct surveyed_procedure {
    struct parameter {
        std::string name;
        bool in = true;
        bool out = false;
    };
    std::vector<parameter> parameters; ///< in order
    bool commits = false;              ///< by itself, or its text cannot be read
    bool may_write = false;            ///< its text does not show that it only reads
    std::string writes;                ///< a statement of it that does; empty: none is seen
};

/// Where a template and the live database differ.
struct difference {
    enum class severity : std::uint8_t {
        warning, ///< some values or some requests will be refused by the database
        error,   ///< the template promises what the database cannot keep
    };
    severity how = severity::error;
    std::string key;  ///< of the template, for example `fields.balance.type`
    std::string text; ///< what stands there, what is there, what to do
};

/// Compares a template with what it reads (its view, or its object) and what it writes. Empty: all
/// that it names is there and means the same. Names of columns are compared as the engine does:
/// without case on `rel`. Says nothing of procedures and of rights.
std::vector<difference> compare(const templates::template_def& wanted, const surveyed& read,
                                const surveyed& written);

/// The same for one call and its procedure; null: it is not there, or the account may not see it.
std::vector<difference> compare(const templates::call& wanted, const surveyed_procedure* there);

/// And for a procedure under `[write]`, which `key` names.
std::vector<difference> compare(const templates::template_def& wanted, const std::string& key,
                                const std::string& name, const surveyed_procedure* there);

} // namespace beds::adapters
