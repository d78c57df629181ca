-- Counts, sorts, matches, catches an error, runs coroutines and writes a file.
local function sieve(n)
  local composite, found = {}, {}
  for i = 2, n do
    if not composite[i] then
      found[#found + 1] = i
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return found
end

local primes = sieve(20000)
print(#primes, primes[#primes])

local words = {}
for word in string.gmatch("the quick brown fox jumps over the lazy dog", "%a+") do
  words[#words + 1] = word:upper()
end
table.sort(words)
print(table.concat(words, " "))
print((pcall(function() error({code = 7}) end)))
print(select(2, pcall(error, "as expected", 0)))
print(string.format("%5.2f|%-6s|%06d|%x", math.pi, "ab", 42, 255))

local co = coroutine.wrap(function(a)
  while true do a = coroutine.yield(a * 2) end
end)
print(co(1), co(10), co(21))

local out = assert(io.open("primes.txt", "w"))
for _, p in ipairs(primes) do out:write(p, "\n") end
out:close()
local sum = 0
for line in io.lines("primes.txt") do sum = sum + tonumber(line) end
print(sum)
print(io.open("missing.txt"))
print(os.getenv("HOME"), os.getenv("NOT_SET"))
io.stderr:write("to standard error\n")
os.exit(3)
