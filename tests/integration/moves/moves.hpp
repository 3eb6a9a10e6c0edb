#pragma once

#include "support/folder.hpp"
#include "support/running_node.hpp"

#include <string>
#include <vector>

/// A template of one name that reloads move, under load, to another object and other columns and
/// back.
namespace beds::test {

/// The same columns in `old_things` and `new_things`: id, a and b (text), n and m (whole numbers).
/// `things` reads a and n of the old ones, b and m of the new ones; what it must never meet has
/// the word "wrong" and the number -1000.
struct moved_thing {
    std::string object;
    std::string a, b;
    int n, m;
};
std::vector<moved_thing> moved_things();
inline constexpr int moved_rows = 8; ///< of each object, with the ids from 1

/// The template, by its place; `call` is the part of [calls.words], which returns the 8 words.
std::string things_template(const std::string& store, bool moved, const std::string& call);
/// Templates that stay, each with all columns of one object of the same name.
std::vector<std::string> object_templates(const std::string& store);

/// `running` serves the files of `files`, among them `things.toml`, and object_templates().
void check_moves(const running_node& running, const folder& files, const std::string& before,
                 const std::string& after);

} // namespace beds::test
