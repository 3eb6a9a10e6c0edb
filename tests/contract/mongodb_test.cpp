#include "contract/report.hpp"
#include "integration/mongodb/fixture.hpp"
#include "support/servers.hpp"

#include <beds/adapters/mongodb.hpp>
#include <beds/core/supervisor.hpp>

#include <cstdio>
#include <memory>

using namespace beds;

namespace {

class mongodb_fixture final : public testing::conformance_fixture {
public:
    mongodb_fixture() : mongodb_fixture(test::require_mongodb().uri) {}

    [[nodiscard]] adapters::adapter& adapter() override { return *adapter_; }
    [[nodiscard]] templates::engine store() const override { return templates::engine::rec; }

    [[nodiscard]] adapters::session_context context(std::string name) override {
        return {.name = std::move(name),
                .supervisor = &supervisor_,
                .log = {observe::level::warning, [](const observe::log_record& record) {
                            std::printf("log: %.*s %.*s\n", static_cast<int>(record.id.size()),
                                        record.id.data(), static_cast<int>(record.text.size()),
                                        record.text.data());
                        }}};
    }

    void prepare(const templates::template_def& target) override { database_.make(target); }

    [[nodiscard]] testing::conformance_traits traits() const override {
        return {.generated_keys = false,
                .column_constraints = false,
                .many_nulls_in_unique = false,
                .decimal_digits = 34};
    }

private:
    explicit mongodb_fixture(const std::string& uri)
        : database_(uri, test::unique_name()),
          adapter_(
              adapters::make_mongodb("rec", test::mongodb::settings_for(uri, database_.name()))) {}

    test::mongodb::raw_database database_;
    core::supervisor supervisor_;
    std::shared_ptr<adapters::adapter> adapter_;
};

} // namespace

TEST_CASE("MongoDB keeps the contract of adapters") {
    mongodb_fixture fixture;
    tests::run_and_report(fixture);
}
