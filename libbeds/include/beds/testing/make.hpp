#pragma once

#include <beds/adapters/bound.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/outcome.hpp>
#include <beds/templates/template_def.hpp>
#include <beds/testing/recording_sink.hpp>

#include <concepts>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace beds::testing {

/// A value as a test writes it: `nullptr`, `true`, `42`, `1.5`, `"text"`. What it becomes is
/// decided by the type of the field: text is a decimal for a decimal field, RFC 3339 for date, time
/// and datetime, JSON text for json and document, and the bytes themselves for bytes.
class literal {
public:
    literal(std::nullptr_t) {}
    literal(bool given) : value_(given) {}
    template <std::signed_integral Integer>
    literal(Integer given) : value_(std::int64_t{given}) {}
    template <std::unsigned_integral Integer>
    requires(!std::same_as<Integer, bool>) literal(Integer given) : value_(std::uint64_t{given}) {}
    literal(double given) : value_(given) {}
    literal(const char* given) : value_(std::string{given}) {}
    literal(std::string_view given) : value_(std::string{given}) {}
    literal(std::string given) : value_(std::move(given)) {}
    literal(owned_value given) : value_(std::move(given)) {}

    /// Typed; text goes into `memory`. Throws core::error(invalid_template) when it is not of the
    /// type.
    [[nodiscard]] core::value as(const core::field_type& type, core::arena& memory) const;
    [[nodiscard]] bool is_null() const;

private:
    std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string,
                 owned_value>
        value_;
};

struct named_literal {
    std::string name;
    literal value;
};

struct field_options {
    bool required = false;
    bool nullable = true;
    bool indexed = false;
    bool write_protected = false;
    templates::generated source = templates::generated::no;
    std::string column{}; ///< empty: the field's name
    std::string collation{};
};

/// Builds a template without TOML. Names are checked, nothing else.
class template_maker {
public:
    /// `object` is called like the template until said otherwise.
    explicit template_maker(std::string name);

    template_maker& object(std::string name);
    template_maker& connection(std::string name, templates::engine store);
    /// `type` as a template writes it; an enum as `enum:open,frozen,closed`, a text or bytes limit
    /// as `string:40`.
    template_maker& field(std::string name, std::string_view type, field_options options = {});
    template_maker& key(std::vector<std::string> fields);
    template_maker& index(std::vector<std::string> fields);
    template_maker& unique(std::vector<std::string> fields);
    template_maker& max_rows(std::uint32_t rows);
    template_maker& call(templates::call called);

    [[nodiscard]] templates::template_def build() const;

private:
    templates::template_def made_;
    std::vector<std::string> key_;
    std::vector<std::pair<std::vector<std::string>, bool>> indexes_;
};

class operations;

/// Fills one operation; made by `operations`. Each call replaces what an earlier one of its name
/// set, except `where` and `row`, which add.
class operation_maker {
public:
    operation_maker& fields(std::vector<std::string> names);
    operation_maker& where(std::string_view field, adapters::comparison op,
                           std::vector<literal> values = {});
    operation_maker& where(std::string_view field, literal value) {
        return where(field, adapters::comparison::eq, {std::move(value)});
    }
    /// `"-name"` descends. The key's fields are appended where they are missing, as the factory
    /// does.
    operation_maker& sort(std::vector<std::string> fields);
    operation_maker& limit(std::uint32_t rows);
    operation_maker& after(const recorded_cursor& cursor);
    operation_maker& row(std::vector<named_literal> values);
    operation_maker& set(std::vector<named_literal> values);
    operation_maker& inc(std::vector<named_literal> values);
    operation_maker& expect(std::vector<named_literal> values);
    /// `taken_over` empty: the row that is there stays as it is.
    operation_maker& on_conflict(std::vector<std::string> unique,
                                 std::vector<std::string> taken_over = {});
    operation_maker& deadline(core::deadline until);

    [[nodiscard]] const adapters::bound_operation& bound() const { return *made_; }
    [[nodiscard]] core::op_index index() const { return made_->index; }

private:
    friend class operations;
    operation_maker(operations& owner, adapters::bound_operation& made)
        : owner_(&owner), made_(&made) {}
    std::span<const adapters::assignment> assign(const std::vector<named_literal>& values);

    operations* owner_;
    adapters::bound_operation* made_;
};

/// Bound operations that own all they point to, numbered from 0 in the order they are made. The
/// templates must outlive it. Operations stay where they are while more are added.
class operations {
public:
    operations() = default;
    operations(const operations&) = delete;
    operations& operator=(const operations&) = delete;

    operation_maker fetch(const templates::template_def& target, std::vector<literal> key);
    operation_maker find(const templates::template_def& target);
    operation_maker count(const templates::template_def& target);
    operation_maker exists(const templates::template_def& target);
    operation_maker insert(const templates::template_def& target);
    operation_maker insert(const templates::template_def& target, std::vector<named_literal> row) {
        return insert(target).row(std::move(row));
    }
    operation_maker update(const templates::template_def& target, std::vector<literal> key = {});
    operation_maker remove(const templates::template_def& target, std::vector<literal> key = {});
    operation_maker call(const templates::template_def& target, std::string_view name,
                         std::vector<literal> args);

    [[nodiscard]] std::size_t size() const { return made_.size(); }
    [[nodiscard]] const adapters::bound_operation& operator[](std::size_t i) const {
        return made_[i];
    }
    /// All of them as one group.
    [[nodiscard]] adapters::group
    group(adapters::group_mode mode = adapters::group_mode::independent);
    /// `count` of them from `first` as one group.
    [[nodiscard]] adapters::group group(std::size_t first, std::size_t count,
                                        adapters::group_mode mode);
    [[nodiscard]] core::arena& memory() { return memory_; }

private:
    friend class operation_maker;
    operation_maker add(const templates::template_def& target, core::verb op);
    std::span<const core::value> key_values(const templates::template_def& target,
                                            const std::vector<literal>& key);

    core::arena memory_;
    std::deque<adapters::bound_operation> made_;
    std::deque<core::row_layout> layouts_;
};

} // namespace beds::testing
