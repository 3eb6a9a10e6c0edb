// Code beside templates. `bookings` refuses what ends before it begins, a rule over two fields that
// no template can say; `payments` writes a line of `ledger` for each payment, in its transaction,
// with whose step of work it came of. The files stay the contract: nothing reaches the code that
// they do not allow. A node takes the same code by `node::add_custom`.
//
//   ./custom_template

#include <beds/adapters/memory.hpp>
#include <beds/client/local_client.hpp>
#include <beds/factory/custom_template.hpp>
#include <beds/templates/registry.hpp>

#include <iostream>
#include <stdexcept>
#include <vector>

using namespace beds;
using client::members;
using factory::custom_work;

constexpr std::string_view bookings = R"toml(
[template]
name       = "bookings"
store      = "rel"
connection = "mem"
object     = "bookings"
key        = ["id"]
[fields]
id    = { type = "int64", required = true }
room  = { type = "string", max = 20, required = true }
begin = { type = "date", required = true }
end   = { type = "date", required = true }
)toml";

constexpr std::string_view payments = R"toml(
[template]
name       = "payments"
store      = "rel"
connection = "mem"
object     = "payments"
key        = ["id"]
[fields]
id      = { type = "int64", required = true }
account = { type = "int64", required = true }
amount  = { type = "decimal(12,2)", required = true }
)toml";

constexpr std::string_view ledger = R"toml(
[template]
name       = "ledger"
store      = "rel"
connection = "mem"
object     = "ledger"
key        = ["payment"]
[fields]
payment = { type = "int64", required = true }
amount  = { type = "decimal(12,2)", required = true }
event   = { type = "string", max = 80 }
cause   = { type = "string", max = 255 }
depth   = { type = "int32", required = true }
)toml";

namespace {

templates::field_id field_of(const templates::template_def& target, std::string_view name) {
    const auto found = target.find_field(name);
    if (!found) {
        throw std::logic_error{"template '" + target.name + "' has no field '" + std::string{name} +
                               "'"};
    }
    return *found;
}

/// Wraps inserts and updates: looks at each one, refuses it or lets it go on.
class booking_rules final : public factory::custom_template {
public:
    [[nodiscard]] bool takes(core::verb op, const templates::call*) const override {
        return op == core::verb::insert || op == core::verb::update;
    }

    void run(custom_work& work) override {
        std::vector<const adapters::bound_operation*> good;
        for (const auto* op : work.operations()) {
            const auto begin = field_of(*op->target, "begin");
            const auto end = field_of(*op->target, "end");
            if (op->op == core::verb::update && op->key.empty()) {
                work.result(*op) =
                    core::outcome::failure(core::code::unsupported, "bookings change by key");
                continue;
            }
            // What an update does not name stays as it is in the row.
            std::span<const core::value> row;
            if (op->op == core::verb::update) {
                const auto seen = work.fetch(*op->target, op->key);
                if (seen.unit == custom_work::state::over) {
                    return;
                }
                row = seen.cells;
            }
            const auto broken = [&](std::span<const adapters::assignment> given) {
                const auto* first = factory::given_value(given, begin);
                const auto* last = factory::given_value(given, end);
                first = first == nullptr && !row.empty() ? &row[begin] : first;
                last = last == nullptr && !row.empty() ? &row[end] : last;
                return first != nullptr && last != nullptr && core::less(*last, *first);
            };
            bool fine = op->op == core::verb::insert || !broken(op->set);
            for (const auto& given : op->rows) {
                fine = fine && !broken(given);
            }
            if (fine) {
                good.push_back(op);
            } else {
                work.result(*op) = core::outcome::failure(
                    core::code::guard_failed, "a booking cannot end before it begins", "end");
            }
        }
        static_cast<void>(work.run(good));
    }
};

/// Fans out: each payment writes a line of another template, both or none.
class payment_lines final : public factory::custom_template {
public:
    [[nodiscard]] bool takes(core::verb op, const templates::call*) const override {
        return op == core::verb::insert;
    }

    void run(custom_work& work) override {
        const auto* lines = work.find("ledger");
        if (lines == nullptr) {
            throw std::logic_error{"there is no template 'ledger'"};
        }
        if (work.run(work.operations()) == custom_work::state::over) {
            return;
        }
        for (const auto* op : work.operations()) {
            const auto from = work.lineage_of(*op);
            for (const auto& row : op->rows) {
                if (!work.result(*op).ok()) {
                    break; // refused already: nothing to write down
                }
                const adapters::assignment line[] = {
                    {field_of(*lines, "payment"),
                     *factory::given_value(row, field_of(*op->target, "id"))},
                    {field_of(*lines, "amount"),
                     *factory::given_value(row, field_of(*op->target, "amount"))},
                    // Of the reply that a node sends; a call in process has none.
                    {field_of(*lines, "event"),
                     core::value::of_text(core::value::kind::string, from.event)},
                    {field_of(*lines, "cause"),
                     core::value::of_text(core::value::kind::string, from.parent)},
                    {field_of(*lines, "depth"), core::value::of_int(from.depth)}};
                core::outcome written;
                if (work.insert(*lines, line, written) == custom_work::state::over) {
                    return;
                }
                if (!written.ok()) {
                    work.result(*op) = written; // and the payment is undone
                }
            }
        }
    }
};

int wrong = 0;

void show(std::string_view what, const client::reply& got, bool right) {
    std::cout << (right ? "right  " : "WRONG  ") << what << "\n       " << got.json() << '\n';
    wrong += right ? 0 : 1;
}

} // namespace

int main() {
    std::vector<templates::template_def> all;
    for (const auto text : {bookings, payments, ledger}) {
        all.push_back(templates::parse(text).parsed.value());
    }
    client::local_client_settings settings;
    settings.factory.customs["bookings"] = [] { return std::make_unique<booking_rules>(); };
    settings.factory.customs["payments"] = [] { return std::make_unique<payment_lines>(); };
    const auto beds =
        client::make_local_client(std::make_shared<const templates::registry>(std::move(all)),
                                  {adapters::make_memory("mem")}, settings);

    const auto book = [&](int id, const char* begin, const char* end) {
        return client::insert(
            "bookings", members{{"id", id}, {"room", "blue"}, {"begin", begin}, {"end", end}});
    };
    auto got = beds->call(
        client::request{{book(1, "2026-03-01", "2026-03-04"), book(2, "2026-03-09", "2026-03-08"),
                         book(3, "2026-03-11", "2026-03-11")}});
    show("one of three bookings ends before it begins", got,
         got[0].ok() && got[1].code() == core::code::guard_failed && got[2].ok());

    got = beds->call(client::update("bookings", 1, members{{"end", "2026-02-01"}}));
    show("so would a change", got, got.front().code() == core::code::guard_failed);

    client::request payment{
        client::insert("payments", members{{"id", 7}, {"account", 1}, {"amount", "10.00"}})};
    payment.event = "order.4711"; // what the caller is at, one step into its own work
    payment.depth = 1;
    got = beds->call(payment);
    show("a payment", got, got.ok());
    got = beds->call(client::fetch("ledger", 7));
    show("its line, which names the order that caused it", got,
         got.front().size() == 1 && got.front()[0].text("cause") == "order.4711" &&
             got.front()[0].integer("depth") == 2);

    got = beds->call(
        client::insert("ledger", members{{"payment", 8}, {"amount", "1.00"}, {"depth", 0}}));
    got = beds->call(
        client::insert("payments", members{{"id", 8}, {"account", 1}, {"amount", "10.00"}}));
    show("a payment whose line is there already", got,
         got.front().code() == core::code::duplicate_key &&
             got.front().effect() == core::effect::none);
    got = beds->call(client::fetch("payments", 8));
    show("is not there", got, got.ok() && got.front().size() == 0);

    return wrong == 0 ? 0 : 1;
}
