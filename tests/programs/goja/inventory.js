// Classes, closures, generators of text, regular expressions, sorting, JSON, dates, exceptions.
class Item {
	constructor(name, count) { this.name = name; this.count = count; }
	get label() { return `${this.name} x${this.count}`; }
}
const items = ["bolt", "nut", "gear"].map((name, i) => new Item(name, (i + 1) * 7));
console.log(items.map((i) => i.label).join(", "));
const { name, ...rest } = items[2];
console.log(name, JSON.stringify(rest));
console.log([...new Map(items.map((i) => [i.name, i.count]))].sort().toString());
console.log("2024-05-06 and 2025-01-02".replace(/(\d+)-(\d+)-(\d+)/g, "$3.$2.$1"));
console.log([5, 1, 10].sort(), [5, 1, 10].sort((a, b) => a - b), 0.1 + 0.2, 1e21, -0 === 0);
console.log(new Date(Date.UTC(2024, 1, 29, 12)).toISOString());
let sum = 0;
for (let i = 0; i < 200000; i++) { sum = (sum * 31 + i) % 1000003; }
console.log(sum);
try { null.x; } catch (e) { console.log(e instanceof TypeError, e.message); }
throw new Error("at the end");
