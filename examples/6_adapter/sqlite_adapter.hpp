// SQLite as an engine of BEDS: the model of an adapter that somebody writes outside of BEDS.
//
//   sqlite_adapter   what the engine can do, and which templates it refuses     begin to read here,
//   session          the unit of work: one transaction with its inbox           go on here
//   operations       one operation after the other within it
//   query            the text of a statement and what is bound to it
//   values, numbers  how each type lies in its column
//   inbox            the replies of writes, by their ids
//   failures         what SQLite's errors mean for callers
//   database         SQLite's handles, and nothing of BEDS
//   schema           the table of a template
#pragma once

#include <beds/adapters/adapter.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace beds_sqlite {

struct sqlite_settings {
    /// Must be there: a misspelt path is told, not made into an empty database.
    std::filesystem::path file;
    /// How long a write that is sent again is recognised.
    std::chrono::hours keep_replies{24 * 7};
};

/// The tables of one file, which may have other readers and writers. One writes at a time: a unit
/// of work that writes has the file's write lock from `begin` to its end, so nobody meets a
/// deadlock. Readers see what was committed when their unit began, and wait for nobody.
std::shared_ptr<beds::adapters::adapter> make_sqlite(std::string connection_name,
                                                     sqlite_settings settings);

/// The statements that make the table of a template, as this adapter reads and writes it. For
/// whoever sets the database up; the adapter itself makes no table but its inbox.
std::vector<std::string> table_of(const beds::templates::template_def& target);

/// An identifier as it stands in SQL.
std::string sql_name(std::string_view identifier);

} // namespace beds_sqlite
