#include "contract/report.hpp"
#include "fixture.hpp"

using namespace beds;

namespace {

class mongodb_fixture final : public testing::conformance_fixture {
public:
    explicit mongodb_fixture(const test::endpoint& server)
        : raw_(server.uri, test::unique_name()),
          adapter_(adapters::make_mongodb("rec",
                                          test::mongodb::settings_for(server.uri, raw_.name()))) {}

    adapters::adapter& adapter() override { return *adapter_; }
    [[nodiscard]] templates::engine store() const override { return templates::engine::rec; }
    void prepare(const templates::template_def& target) override { raw_.make(target); }
    [[nodiscard]] testing::conformance_traits traits() const override {
        testing::conformance_traits made;
        made.generated_keys = false;
        made.column_constraints = false;
        made.many_nulls_in_unique = false;
        made.decimal_digits = 34;
        return made;
    }

private:
    test::mongodb::raw_database raw_;
    std::shared_ptr<adapters::adapter> adapter_;
};

} // namespace

TEST_CASE("the mongodb adapter keeps the contract of adapters") {
    mongodb_fixture fixture{test::require_mongodb()};
    tests::run_and_report(
        fixture,
        {"needs transactions", "the engine has no procedures", "the engine does not generate keys",
         "the engine's columns have no constraints",
         "nulls collide in this engine's unique indexes", "the engine does not keep decimal(38,10)",
         "'on_conflict' by the key only", "'on_conflict' of one row only",
         "rows of a write by `where` cannot be told without "
         "transactions"});
}
