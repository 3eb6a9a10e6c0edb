#include "sqlite_adapter.hpp"

#include "session.hpp"

#include <utility>

namespace beds_sqlite {

using namespace beds::adapters;
namespace core = beds::core;
namespace templates = beds::templates;

namespace {

bool can_generate(const templates::template_def& target, const templates::field& field) {
    // uint64 is none of SQLite's integers (values.hpp).
    return field.in_key && target.key.size() == 1 && field.type.kind >= core::type_kind::int8 &&
           field.type.kind < core::type_kind::uint64;
}

bool compares_by_bytes(std::string_view collation) {
    return collation.empty() || collation == "binary" || collation.ends_with("_bin");
}

class sqlite_adapter final : public adapter {
public:
    sqlite_adapter(std::string connection_name, sqlite_settings settings)
        : name_(std::move(connection_name)), settings_(std::move(settings)) {}

    [[nodiscard]] std::string_view engine_name() const override { return "sqlite"; }
    [[nodiscard]] const std::string& connection_name() const override { return name_; }
    [[nodiscard]] capabilities can() const override {
        return {.transactions = true, .procedures = false, .pipelines = false, .inbox = true};
    }
    [[nodiscard]] std::unique_ptr<beds::adapters::session>
    open_session(session_context context) override {
        return std::make_unique<session>(settings_, std::move(context));
    }

    [[nodiscard]] std::vector<std::string>
    check(const templates::template_def& target) const override;

    /// Only procedures can.
    [[nodiscard]] bool runs_alone(const templates::template_def&, core::verb,
                                  const templates::call*) const override {
        return false;
    }

    void inspect(beds::adapters::session& connected,
                 std::span<const templates::template_def* const> targets,
                 core::deadline until) override {
        auto& own = static_cast<session&>(connected); // made by `open_session`
        for (const auto* target : targets) {
            own.inspect(*target, until);
        }
    }

private:
    std::string name_;
    sqlite_settings settings_;
};

/// Whatever would be done otherwise than the template says is refused here, before it is served.
std::vector<std::string> sqlite_adapter::check(const templates::template_def& target) const {
    std::vector<std::string> problems;
    const auto lacks = [&problems](const std::string& what, const char* instead) {
        problems.push_back(what + " is not there on SQLite; " + instead);
    };
    if (!target.read_view.empty()) {
        lacks("[read] view", "leave it out: rows come from the object");
    }
    for (const auto* procedure :
         {&target.write.insert, &target.write.update, &target.write.remove}) {
        if (!procedure->empty()) {
            lacks("[write] procedure '" + *procedure + "'", "leave it out");
        }
    }
    for (const auto& call : target.calls) {
        lacks("call '" + call.name + "'", "SQLite has no procedures");
    }
    for (const auto& field : target.fields) {
        if (!compares_by_bytes(field.collation)) {
            lacks("collation '" + field.collation + "' of field '" + field.name + "'",
                  "text is compared by its bytes");
        }
        if (field.source == templates::generated::database && !can_generate(target, field)) {
            lacks("a generated value for field '" + field.name + "'",
                  "only an integer that is the whole key is generated");
        }
    }
    for (const auto& index : target.indexes) {
        if (index.expire_after) {
            lacks("expire_after", "rows stay until they are deleted");
        }
        if (!index.where_json.empty()) {
            lacks("an index with `where`", "leave the condition out");
        }
    }
    return problems;
}

} // namespace

std::shared_ptr<adapter> make_sqlite(std::string connection_name, sqlite_settings settings) {
    return std::make_shared<sqlite_adapter>(std::move(connection_name), std::move(settings));
}

} // namespace beds_sqlite
