#include "core/numbers.hpp"

#include <beds/core/data.hpp>

#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace beds::core {
namespace {

std::uint32_t counted(std::size_t size) {
    if (size > std::numeric_limits<std::uint32_t>::max()) {
        throw std::length_error{"more than 2^32-1 items in one array or object"};
    }
    return static_cast<std::uint32_t>(size);
}

// MurmurHash3, the variant of 128 bits for 64-bit machines, taken apart into its steps.
constexpr std::uint64_t factor_1 = 0x87c37b91114253d5ULL;
constexpr std::uint64_t factor_2 = 0x4cf5ad432745937fULL;

std::uint64_t scramble_1(std::uint64_t k) {
    return std::rotl(k * factor_1, 31) * factor_2;
}

std::uint64_t scramble_2(std::uint64_t k) {
    return std::rotl(k * factor_2, 33) * factor_1;
}

void absorb(content_hash& state, std::uint64_t k1, std::uint64_t k2) {
    state.high ^= scramble_1(k1);
    state.high = (std::rotl(state.high, 27) + state.low) * 5 + 0x52dce729;
    state.low ^= scramble_2(k2);
    state.low = (std::rotl(state.low, 31) + state.high) * 5 + 0x38495ab5;
}

std::uint64_t mixed(std::uint64_t k) {
    k ^= k >> 33;
    k *= 0xff51afd7ed558ccdULL;
    k ^= k >> 33;
    k *= 0xc4ceb9fe1a85ec53ULL;
    k ^= k >> 33;
    return k;
}

content_hash finish(content_hash state, std::uint64_t length) {
    state.high ^= length;
    state.low ^= length;
    state.high += state.low;
    state.low += state.high;
    state.high = mixed(state.high);
    state.low = mixed(state.low);
    state.high += state.low;
    state.low += state.high;
    return state;
}

/// The kind of value is the seed, so that `1`, `"1"` and `true` differ. Spread over all bits,
/// because a length is folded in the same way.
content_hash seed(datum::kind kind) {
    const auto number = static_cast<std::uint64_t>(kind) + 1;
    return {mixed(number), mixed(~number)};
}

content_hash hash_text(content_hash state, std::string_view text) {
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 16; left -= 16, at += 16) {
        std::uint64_t k1 = 0;
        std::uint64_t k2 = 0;
        std::memcpy(&k1, at, 8);
        std::memcpy(&k2, at + 8, 8);
        absorb(state, k1, k2);
    }
    if (left > 0) {
        char tail[16] = {};
        std::memcpy(tail, at, left);
        std::uint64_t k1 = 0;
        std::uint64_t k2 = 0;
        std::memcpy(&k1, tail, 8);
        std::memcpy(&k2, tail + 8, 8);
        state.high ^= scramble_1(k1);
        state.low ^= scramble_2(k2);
    }
    return finish(state, text.size());
}

content_hash hash_number(datum::kind kind, std::uint64_t bits) {
    content_hash state = seed(kind);
    absorb(state, bits, 0);
    return finish(state, 8);
}

content_hash hash_array(std::span<const datum> items) {
    content_hash state = seed(datum::kind::array);
    for (const datum& item : items) {
        state = combine(state, hash(item));
    }
    return finish(state, items.size());
}

content_hash hash_object(std::span<const member> members) {
    // A sum does not depend on the order; each summand is mixed already.
    content_hash sum;
    for (const member& each : members) {
        const content_hash one = combine(hash(each.name), hash(each.value));
        sum.high += one.high;
        sum.low += one.low;
    }
    return finish(combine(seed(datum::kind::object), sum), members.size());
}

} // namespace

const datum* datum::find(std::string_view name) const {
    for (const member& each : members()) {
        if (each.name == name) {
            return &each.value;
        }
    }
    return nullptr;
}

datum datum::of(bool value) {
    datum made;
    made.type = kind::boolean;
    made.boolean = value;
    return made;
}

datum datum::of(std::int64_t value) {
    datum made;
    made.type = kind::integer;
    made.integer = value;
    return made;
}

datum datum::of(std::uint64_t value) {
    constexpr auto top = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (value <= top) {
        return of(static_cast<std::int64_t>(value));
    }
    datum made;
    made.type = kind::unsigned_integer;
    made.unsigned_integer = value;
    return made;
}

datum datum::of(std::string_view value) {
    datum made;
    made.type = kind::string;
    made.text = value;
    return made;
}

datum datum::of_number(std::string_view token) {
    datum made;
    made.type = kind::number;
    const auto parts = take_apart(token);
    if (!parts) {
        throw std::invalid_argument{"not a JSON number"};
    }
    if (parts->fraction.empty() && !parts->exponent) {
        if (const auto small = whole_number<std::int64_t>(token)) {
            made = of(*small);
        } else if (const auto large = whole_number<std::uint64_t>(token)) {
            made = of(*large);
        }
    }
    made.text = token;
    return made;
}

datum datum::of(std::span<const datum> items) {
    datum made;
    made.type = kind::array;
    made.count = counted(items.size());
    made.first_item = items.data();
    return made;
}

datum datum::of(std::span<const member> members) {
    datum made;
    made.type = kind::object;
    made.count = counted(members.size());
    made.first_member = members.data();
    return made;
}

std::string_view describe(datum::kind kind) {
    switch (kind) {
    case datum::kind::null:
        return "null";
    case datum::kind::boolean:
        return "true or false";
    case datum::kind::integer:
    case datum::kind::unsigned_integer:
        return "an integer";
    case datum::kind::number:
        return "a number with a fraction or an exponent";
    case datum::kind::string:
        return "a string";
    case datum::kind::array:
        return "an array";
    case datum::kind::object:
        return "an object";
    }
    return "a value";
}

content_hash hash(const datum& value) {
    switch (value.type) {
    case datum::kind::null:
        return hash_number(value.type, 0);
    case datum::kind::boolean:
        return hash_number(value.type, value.boolean ? 1 : 0);
    case datum::kind::integer:
        return hash_number(value.type, static_cast<std::uint64_t>(value.integer));
    case datum::kind::unsigned_integer:
        return hash_number(value.type, value.unsigned_integer);
    case datum::kind::number:
    case datum::kind::string:
        return hash_text(seed(value.type), value.text);
    case datum::kind::array:
        return hash_array(value.items());
    case datum::kind::object:
        return hash_object(value.members());
    }
    return {};
}

content_hash hash(std::string_view text) {
    return hash_text({}, text);
}

content_hash combine(content_hash sum, content_hash next) {
    absorb(sum, next.high, next.low);
    return finish(sum, 16);
}

} // namespace beds::core
