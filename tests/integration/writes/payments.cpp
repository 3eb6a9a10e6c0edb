#include "payments.hpp"

#include "guests.hpp"

#include <beds/factory/custom_template.hpp>

#include <memory>
#include <stdexcept>

namespace beds::test {

using Catch::Contains;
using core::value;
using factory::custom_work;
using namespace std::chrono_literals;

namespace {

class payment_lines final : public factory::custom_template {
public:
    [[nodiscard]] bool takes(core::verb op, const templates::call*) const override {
        return op == core::verb::insert;
    }
    void run(custom_work& work) override {
        const auto& lines = *work.find("ledger");
        if (work.run(work.operations()) == custom_work::state::over) {
            return;
        }
        for (const auto* op : work.operations()) {
            if (!work.result(*op).ok()) {
                continue;
            }
            const auto id = *factory::given_value(op->rows.front(), 0);
            if (id.integer < 0) {
                throw std::runtime_error{"payments: nothing is paid"};
            }
            const auto from = work.lineage_of(*op);
            const adapters::assignment line[] = {
                {0, id},
                {1, value::of_text(value::kind::string, from.event)},
                {2, value::of_text(value::kind::string, from.parent)},
                {3, value::of_int(from.depth)}};
            core::outcome written;
            if (work.insert(lines, line, written) == custom_work::state::over) {
                return;
            }
            if (!written.ok()) {
                work.result(*op) = written;
            }
        }
    }
};

std::string about(const std::string& name, const std::string& store, const std::string& fields) {
    return "[template]\nname = \"" + name + "\"\nstore = \"" + store + "\"\nobject = \"" + name +
           "\"\n" + fields;
}

} // namespace

node_options with_payments(node_options given, const std::string& store) {
    given.templates = {about("payments", store, R"toml(key = ["id"]
[fields]
id     = { type = "int64", required = true }
amount = { type = "int32" }
)toml"),
                       about("ledger", store, R"toml(key = ["payment"]
[fields]
payment = { type = "int64", required = true }
event   = { type = "string", max = 80 }
parent  = { type = "string", max = 80 }
depth   = { type = "int32" }
)toml")};
    given.customs["payments"] = [] { return std::make_unique<payment_lines>(); };
    return given;
}

void check_payments(client::client& through, bool transactions) {
    guest_desk ask{through};
    const auto pay = [](int id) {
        return client::insert("payments", client::members{{"id", id}, {"amount", 5}});
    };
    CHECK_THAT(ask(R"("op":"insert","data":{"id":7,"amount":5})", "payments", "seven"),
               Contains("applied"));
    CHECK_THAT(ask(R"("op":"fetch","key":7,"fields":["payment"])", "ledger"),
               Contains(R"("rows":[{"payment":7}])"));
    // The same request again: its code, too, has had its effect once.
    CHECK_THAT(ask(R"("op":"insert","data":{"id":7,"amount":5})", "payments", "seven"),
               Contains("applied"));
    CHECK_THAT(ask(R"("op":"count")", "ledger"), Contains(R"("total":1)"));

    CHECK_THAT(ask(R"("op":"insert","data":{"payment":9,"event":"somebody else"})", "ledger"),
               Contains("applied"));
    const auto got = through.call(client::request{{pay(8), pay(9), pay(10)}}, 10s);
    REQUIRE(got.size() == 3);
    CHECK(got[0].ok());
    CHECK(got[1].code() == core::code::duplicate_key);
    CHECK(got[1].effect() == (transactions ? core::effect::none : core::effect::unknown));
    CHECK(got[2].ok());
    CHECK_THAT(ask(R"("op":"count")", "payments"),
               Contains(transactions ? R"("total":3)" : R"("total":4)"));
    CHECK_THAT(ask(R"("op":"count")", "ledger"), Contains(R"("total":4)"));

    CHECK_THAT(ask(R"("op":"insert","data":{"id":-1})", "payments"), Contains("INTERNAL"));
    CHECK_THAT(ask(R"("op":"fetch","key":-1)", "payments"),
               transactions ? Contains(R"("rows":[])") : Contains(R"("id":-1)"));
    // Back to one line for each payment.
    CHECK_THAT(ask(R"("op":"delete","key":9)", "ledger"), Contains("applied"));
}

void check_lineage(client::client& through) {
    guest_desk ask{through};
    const auto pay = [&](int id, std::string event, std::uint32_t depth) {
        client::request request{client::insert("payments", client::members{{"id", id}})};
        request.event = std::move(event);
        request.depth = depth;
        const auto reply = through.call(std::move(request), 10s);
        CHECK(reply.ok());
        return std::string{reply.event()};
    };
    const auto line = [&](int id) {
        return ask(R"("op":"fetch","key":)" + std::to_string(id) +
                       R"(,"fields":["event","parent","depth"])",
                   "ledger");
    };
    const auto row = [](const std::string& event, const std::string& parent, int depth) {
        return R"("rows":[{"event":")" + event + R"(","parent":")" + parent + R"(","depth":)" +
               std::to_string(depth) + "}]";
    };
    const auto nobody = pay(20, {}, 5);
    CHECK_THAT(line(20), Contains(row(nobody, "", 0)));
    const auto first = pay(21, "shop.4711", 3);
    CHECK_THAT(line(21), Contains(row(first, "shop.4711", 4)));
    const auto second = pay(22, first, 4);
    CHECK(first != second);
    CHECK_THAT(line(22), Contains(row(second, first, 5)));
    // What is no event of anybody is no reason to refuse.
    const auto third = pay(23, std::string(256, 'e'), 1);
    CHECK_THAT(line(23), Contains(row(third, "", 0)));
}

} // namespace beds::test
