// Services of two sites: imports, functions, objects that extend others, checks, formats.
local lib = import 'lib.libsonnet';
local sites = { north: 3, south: 2 };
{
  services: [
    lib.service(site, i) { ports+: if i == 0 then [8443] else [] }
    for site in std.objectFields(sites)
    for i in std.range(0, sites[site] - 1)
  ],
  assert std.length(self.services) == 5 : 'five are wanted',
  names:: std.map(function(s) s.name, self.services),
  summary: |||
    %d services: %s
    digest %s
  ||| % [std.length(self.names), std.join(', ', self.names), std.md5(std.join(' ', self.names))],
  numbers: { third: 1 / 3, large: std.pow(2, 70), sorted: std.sort([3, 1, 2, -1.5]) },
  text: importstr 'lib.libsonnet',
  yaml: std.manifestYamlDoc({ list: [1, { deep: ['äöü', null] }] }),
  parts: std.foldl(function(a, b) a + b, std.split('a/b/c', '/'), std.extVar('site')),
}
