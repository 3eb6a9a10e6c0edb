#pragma once

#include "adapters/mongodb/decimal128.hpp"

#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/core/value.hpp>
#include <beds/templates/template_def.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace beds::adapters::mongodb {

/// Writes one BSON document into memory that is kept for the next one. Names and texts go in as
/// they are: nothing that is written here is ever read as Extended JSON. Names must not contain NUL
/// (template names are checked at load, members of documents by `append`).
class bson_writer {
public:
    bson_writer() { clear(); }

    /// Back to an empty document.
    void clear();

    void begin_document(std::string_view name) { begin(0x03, name); }
    void begin_array(std::string_view name) { begin(0x04, name); }
    /// Ends the innermost open document or array.
    void end();

    void null(std::string_view name) { element(0x0a, name); }
    void boolean(std::string_view name, std::uint8_t value);
    void int32(std::string_view name, std::int32_t value);
    void int64(std::string_view name, std::int64_t value);
    void real(std::string_view name, double value);
    void decimal(std::string_view name, decimal128 value);
    void string(std::string_view name, std::string_view value);
    void binary(std::string_view name, std::uint8_t subtype, std::string_view bytes);
    void object_id(std::string_view name, std::span<const std::uint8_t, 12> bytes);
    /// Milliseconds since 1970.
    void date(std::string_view name, std::int64_t milliseconds);
    /// The elements of another document, as they are.
    void elements_of(std::span<const std::uint8_t> document);

    /// Where the next element begins; `cut` takes back everything from there. Both only at the same
    /// depth of nesting.
    [[nodiscard]] std::size_t position() const { return bytes_.size(); }
    void cut(std::size_t position) { bytes_.resize(position); }
    /// As `cut`, from any depth below: documents that were begun after `position` are given up.
    void abandon(std::size_t position);

    /// Ends the document. It stays until `clear`.
    std::span<const std::uint8_t> finish();

private:
    void begin(std::uint8_t type, std::string_view name);
    void element(std::uint8_t type, std::string_view name);
    template <class Number>
    void little_endian(Number value);

    std::vector<std::uint8_t> bytes_;
    std::vector<std::size_t> open_; ///< where the lengths of open documents stand
};

/// "0", "1", … as names of an array's elements.
class element_name {
public:
    explicit element_name(std::size_t index);
    // NOLINTNEXTLINE(google-explicit-constructor): stands for its text
    operator std::string_view() const { return {text_.data(), size_}; }

private:
    std::array<char, 20> text_{};
    std::size_t size_ = 0;
};

/// Why a value cannot be stored; for people, static.
using encode_problem = std::optional<std::string_view>;

/// A bound value in its stored form (adapters/mongodb.hpp).
encode_problem append(bson_writer& to, std::string_view name, const core::value& value,
                      const core::field_type& type, templates::stored_form form,
                      core::arena& memory);
/// A value of a field of a template.
encode_problem append_field(bson_writer& to, std::string_view name, const core::value& value,
                            const templates::template_def& target, templates::field_id field,
                            core::arena& memory);
/// An untyped tree. Members may be called anything that has no NUL in it.
encode_problem append(bson_writer& to, std::string_view name, const core::datum& tree);

} // namespace beds::adapters::mongodb
