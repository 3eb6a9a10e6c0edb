// What only SQLite has, and the conformance suite cannot know: locks, rules, files.
#pragma once

#include <beds/testing/adapter_conformance.hpp>

#include <filesystem>
#include <vector>

/// `file` is that of the fixture which they will be run with.
std::vector<beds::testing::conformance_case> own_cases(const std::filesystem::path& file);
