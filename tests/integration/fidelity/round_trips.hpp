#pragma once

#include "samples.hpp"

#include <beds/client/client.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace beds::test {

/// Writes so many random rows of the template `everything` by inserts and updates, reads them back
/// by key and by range, and compares every value. Ids begin behind `first`.
void check_rows(client::client& through, std::int64_t first, std::size_t rows, std::uint64_t seed);

/// So many calls of `everything.echo`, which gives its random arguments back in a result set
/// `again` and, where it has OUT parameters, in `out_NAME`.
enum class nested_data { given, left_out };
void check_calls(client::client& through, std::size_t calls, std::uint64_t seed,
                 nested_data nested = nested_data::given);

/// A document of so many bytes, about, comes back as it was.
void check_large_document(client::client& through, std::int64_t id, std::size_t bytes);

/// BEDS_TEST_SEED, or a random one; printed.
std::uint64_t chosen_seed();

} // namespace beds::test
