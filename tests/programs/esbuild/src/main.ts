import { area, type Shape } from "./shape";
import data from "./data.json";

enum Colour { Red = 1, Green }

const shapes: Shape[] = [{ kind: "circle", r: 2 }, { kind: "rect", w: 3, h: 4 }];
for (const s of shapes) console.log(s.kind, area(s)?.toFixed(2) ?? "none");
console.log(data.title, Colour[Colour.Green]);
export const total = shapes.reduce((sum, s) => sum + area(s), 0);
